"""Play sequences of hostile frames into a peer's state, as many as you like, on all cores.

    python tests/fuzz/fuzz_sequences.py --sequences 1000000

A sequence is a function of its seed (:mod:`tests.fuzz.sequences`). The first one that breaks anything ends it all, and
is named.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fuzz.sequences import play

_PORTION = 500
_TELL_EVERY = 20_000


def play_portion(first: int, count: int, frames: int) -> int:
    for seed in range(first, first + count):
        play(seed, frames)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--frames", type=int, default=12, help="of each sequence")
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence; those that follow count up")
    given = parser.parse_args()
    end, began, done = given.seed + given.sequences, time.monotonic(), 0
    if given.sequences <= _PORTION:
        done = play_portion(given.seed, given.sequences, given.frames)
    else:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            portions = [
                pool.submit(play_portion, first, min(_PORTION, end - first), given.frames)
                for first in range(given.seed, end, _PORTION)
            ]
            try:
                for portion in portions:
                    done += portion.result()
                    if done % _TELL_EVERY == 0:
                        print(f"{done} of {given.sequences} sequences, {time.monotonic() - began:.0f} s", flush=True)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    print(f"{done} sequences of {given.frames} frames each in {time.monotonic() - began:.0f} s: nothing broke")


if __name__ == "__main__":
    main()
