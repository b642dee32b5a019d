"""Reproduce the figures of the literature, in virtual time where thousands of workers are involved.

    python -m studies                   play what is missing in every study, and write the pages in docs/studies
    python -m studies adbo              the same for one study
    python -m studies --pages           write the pages from the results that are there
    python -m studies --reduced         play a few short runs of every study in a temporary folder, check what they
                                        show, and check that the pages in docs/studies are those of the results
    python -m studies --list adbo       list the runs, and which of them are there

A run that has ended is kept in studies/results/NAME.jsonl. Ctrl-C loses the run that is being played; the next call
goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from .framework import pages
from .framework.results import BrokenResults, Results, RunRecord, versions
from .framework.study import HERE, LiteratureStudy, Report, load, names

RESULTS = HERE / "results"
PAGES = HERE.parent / "docs" / "studies"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m studies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", metavar="NAME", help=f"all if none is given: {', '.join(names())}")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--pages", action="store_true", help="write the pages without playing anything")
    how.add_argument("--reduced", action="store_true", help="a few short runs of each, checked; nothing is kept")
    how.add_argument("--list", action="store_true", help="list the runs and which of them are there")
    args = parser.parse_args(arguments)
    unknown = sorted(set(args.studies) - set(names()))
    if unknown:
        parser.error(f"there is no study {unknown[0]!r}; there are: {', '.join(names())}")
    chosen = args.studies or names()
    try:
        if args.list:
            for name in chosen:
                _list(name)
            return 0
        if args.reduced:
            return _reduced(chosen)
        if not args.pages:
            for name in chosen:
                play_missing(load(name), Results(RESULTS / f"{name}.jsonl"), name)
        write_pages(RESULTS, PAGES, chosen)
    except BrokenResults as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def play_missing(study: LiteratureStudy, results: Results, name: str, *, reduced: bool = False) -> None:
    """Play the runs of a study that its results do not have, and add each as it ends."""
    missing = [parameters for parameters in study.runs(reduced=reduced) if parameters not in results]
    for number, parameters in enumerate(missing, 1):
        print(f"{name} {number}/{len(missing)}: {_words(parameters)}", end=" … ", flush=True)
        began = time.process_time()
        result = study.play(parameters)
        cpu = round(time.process_time() - began, 2)
        results.add(RunRecord(dict(parameters), result, cpu, date.today().isoformat(), versions()))
        print(f"{cpu:.1f} s of CPU time", flush=True)


def write_pages(results: Path, folder: Path, chosen: Sequence[str]) -> None:
    """Write the pages and plots of the ``chosen`` studies, and the index of all."""
    for name in chosen:
        pages.save(folder, name, load(name).draw(Results(results / f"{name}.jsonl")))
    for name, (_, _, report) in (reports := _reports(results)).items():
        if name in chosen:
            pages.write(folder, name, report)
            print(folder / f"{name}.md")
    (folder / "index.md").write_text(pages.index(reports), encoding="utf-8")


def _reports(results: Path) -> dict[str, tuple[str, str, Report]]:
    studies = {name: load(name) for name in names()}
    return {
        name: (study.title, study.source, study.report(Results(results / f"{name}.jsonl")))
        for name, study in studies.items()
    }


def _reduced(chosen: Sequence[str]) -> int:
    faults = stale_pages(RESULTS, PAGES)
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen:
            study, results = load(name), Results(Path(scratch) / f"{name}.jsonl")
            play_missing(study, results, name, reduced=True)
            study.report(results)
            pages.save(Path(scratch), name, study.draw(results))
            faults += [f"{name}: {fault}" for fault in study.faults(results)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def stale_pages(results: Path, folder: Path) -> list[str]:
    """Say which pages in ``folder`` are not those of the results."""
    reports = _reports(results)
    wanted = {f"{name}.md": report.text for name, (_, _, report) in reports.items()}
    wanted["index.md"] = pages.index(reports)
    there = {page: folder / page for page in wanted}
    return [
        f"{there[page]} is not the page of the results: run python -m studies --pages"
        for page, text in wanted.items()
        if not there[page].exists() or there[page].read_text(encoding="utf-8") != text
    ]


def _list(name: str) -> None:
    results = Results(RESULTS / f"{name}.jsonl")
    for parameters in load(name).runs(reduced=False):
        print(f"{name} {'done   ' if parameters in results else 'missing'} {_words(parameters)}")


def _words(parameters: object) -> str:
    return json.dumps(parameters).strip("{}").replace('"', "")


if __name__ == "__main__":
    sys.exit(main())
