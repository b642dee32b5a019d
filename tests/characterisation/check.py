"""Compares what aiohpo does with what it did when it was recorded, down to the byte.

For changes that must not change anything: moving and renaming modules, splitting classes. It holds nothing about
what is right, only about what was: a difference is either a mistake or a decision, and a decision is recorded anew
(``--record``) by the commit that makes it and named in that commit's message.

    wire       the bytes of every kind of event and frame, of a journal's record, and a study's hash
    help       ``--help`` of every command
    runs       ``best``, ``show`` and ``watch`` with ``--json`` on three run directories
    proposals  what every searcher proposes, seed by seed
    swarms     fingerprints of 50 swarms of production workers in virtual time

Run ``python tests/characterisation/check.py [--record] [SUBJECT ...]``; all of it takes about 40 s of one core.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy loads

import argparse
import difflib
import hashlib
import importlib
import json
import platform
import secrets
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).parent / "recorded"
SUBJECTS = ("wire", "help", "runs", "proposals", "swarms")
sys.path.insert(0, str(ROOT))


def observe(subject: str) -> Any:
    """What there is to see of a subject now, as JSON values. What would be random, or of this machine, is not."""
    numbers = count()

    def drawn(n: int | None = None) -> bytes:
        return hashlib.shake_256(b"characterisation %d" % next(numbers)).digest(n or 32)

    with (
        patch.object(secrets, "token_bytes", drawn),
        patch.object(os, "getpid", lambda: 4242),
        patch.object(platform, "node", lambda: "here"),
    ):
        return importlib.import_module(subject).observe()


def as_text(value: Any, indent: str = "") -> str:
    """JSON with a line for each small thing, so that a difference is a line."""
    if isinstance(value, dict | list) and len(json.dumps(value)) > 160 - len(indent):
        deeper = indent + " "
        if isinstance(value, dict):
            lines = [f"{deeper}{json.dumps(key)}: {as_text(item, deeper)}" for key, item in value.items()]
        else:
            lines = [f"{deeper}{as_text(item, deeper)}" for item in value]
        first, last = "{}" if isinstance(value, dict) else "[]"
        return "\n".join([first, ",\n".join(lines), indent + last])
    return json.dumps(value, ensure_ascii=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"some of {', '.join(SUBJECTS)}; all of them")
    parser.add_argument("--record", action="store_true", help="take what is seen now as what is to be seen")
    args = parser.parse_args()
    if unknown := set(args.subjects) - set(SUBJECTS):
        parser.error(f"there is no subject {', '.join(sorted(unknown))}; there are: {', '.join(SUBJECTS)}")
    differ = 0
    for subject in args.subjects or SUBJECTS:
        began = time.process_time()
        seen = as_text(observe(subject)) + "\n"
        file = RECORDED / f"{subject}.json"
        took = f"{time.process_time() - began:.1f} s"
        if args.record:
            file.parent.mkdir(exist_ok=True)
            file.write_text(seen, encoding="utf-8")
            print(f"{subject}: recorded ({took})")
            continue
        recorded = file.read_text(encoding="utf-8")
        if seen == recorded:
            print(f"{subject}: the same ({took})")
            continue
        differ += 1
        pair = recorded.splitlines(), seen.splitlines()
        lines = list(difflib.unified_diff(*pair, "recorded", "now", n=0, lineterm=""))
        print(f"{subject}: {len(lines)} lines of difference ({took})", *lines[:60], sep="\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
