"""A run as one file of HTML: the live page's files and the server's answers, put into one another.

Nothing is loaded from anywhere, and a content security policy says so to the browser. What strangers wrote is in a
block of JSON that no tag can end, because ``<`` is escaped in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from importlib.metadata import version
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from ..errors import AiohpoError
from ..report.sources import LoadedDirectory
from ..storage.printed import tails
from ..storage.run import Run
from ..text import printable
from .assets import page_files
from .data.activity import activity
from .data.columns import to_json
from .data.curves import curves
from .data.feed import Feed
from .data.findings import compared, ensemble, importance
from .data.timeline import timeline
from .data.trial_page import failures, trial_page, with_outputs

MOST_BEST, MOST_FAILED, MOST_LATEST = 50, 50, 200  # trials whose own pages are in a report
MOST_LINES = 60  # of what each of them printed
_LINK = re.compile(r'[ \t]*<link rel="stylesheet" href="([^"]+)">\n?')
_SCRIPT = re.compile(r'[ \t]*<script src="([^"]+)"[^>]*></script>\n?')
_LATE = re.compile(r'<template id="late">(.*?)</template>', re.DOTALL)
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)


def answers(run: Run, id: str) -> dict[str, Any]:
    """What the server would answer about a run, by the path below ``api/``."""
    feed = Feed(LoadedDirectory(run))
    now = time.time()
    feed.look(now)
    feed.catch_up()
    questions: dict[str, Callable[[], Any]] = {
        "state": lambda: feed.since(None),
        "curves": lambda: curves(feed, None),
        "timeline": lambda: timeline(feed, None, None),
        "activity": lambda: activity(feed),
        "failures": lambda: with_outputs(failures(feed), run.path),
        "importance": lambda: importance(feed.view, *compared(feed)),
        "ensemble": lambda: ensemble(run.path, feed.source.ensemble(), run.study),
    }
    found: dict[str, Any] = {f"runs/{id}/{name}": _answer(question) for name, question in questions.items()}
    others = found[f"runs/{id}/curves"].get("metrics", [])[1:]
    for metric in others:
        found[f"runs/{id}/curves?metric={metric}"] = _answer(partial(curves, feed, metric))
    pages = [trial_page(feed, row) for row in _told(feed)]
    printed = tails(run.path, {page["id"] for page in pages}, MOST_LINES)
    for page in pages:
        output = printed.get(page["id"])
        found[f"runs/{id}/trials/{page['number']}"] = {**page, "output": None if output is None else "\n".join(output)}
    state = found[f"runs/{id}/state"]
    state["summary"]["can"] = {"stop": False, "retry": False, "why": "this is a report"}
    entry = {"id": id, "name": id, "kind": "directory", "error": None, "trials": state["summary"]["study"]["trials"]}
    facts = {name: run.study.get(name) for name in ("metric", "mode", "searcher", "scheduler", "max_steps", "created")}
    found["runs"] = {"runs": [{**entry, **facts, "progress": feed.progress()}], "folder": False, "title": id}
    return found


def _answer(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except AiohpoError as error:
        return {"error": " ".join(str(error).split())}


def _told(feed: Feed) -> list[int]:
    """The trials that are likely to be looked at: the best, the latest, and some that failed."""
    status, number, value = (feed.column(name) for name in ("status", "number", "value"))
    shown = np.flatnonzero(~np.isin(status, [feed.code("cancelled"), feed.code("queued")]))
    latest = shown[np.argsort(-number[shown], kind="stable")]
    failed = latest[status[latest] == feed.code("failed")]
    loss = np.where(feed.column("complete") == 1, feed.view.objective.sign * value, np.nan)
    valued = shown[~np.isnan(loss[shown])]
    best = valued[np.argsort(loss[valued], kind="stable")]
    leader = feed.view.leader()
    rows = [*best[:MOST_BEST].tolist(), *failed[:MOST_FAILED].tolist(), *latest[:MOST_LATEST].tolist()]
    return list(dict.fromkeys([*rows, *([] if leader is None else [leader])]))


def write_page(found: Mapping[str, Any], id: str, title: str) -> str:
    """Return the page with these answers in it."""
    files = page_files()
    page = _LATE.sub("", files.joinpath("index.html").read_text("utf-8"))
    late = _LATE.search(files.joinpath("index.html").read_text("utf-8"))
    scripts: list[str] = []

    def script(path: str) -> str:
        text = _read(files, path).replace("</script", "<\\/script").replace("<!--", "<\\!--")
        scripts.append(text)
        return f"<script>{text}</script>\n"

    data = {
        "report": True,
        "title": printable(title),
        "version": version("aiohpo"),
        "made": time.time(),
        "run": id,
        "api": found,
    }
    # Escaped so, no text in it can end the block, begin a comment, or be a line end to a script.
    block = to_json(data).decode("ascii").replace("<", "\\u003c")
    page = _LINK.sub(lambda match: f"<style>{_read(files, match[1])}</style>\n", page)
    first = _SCRIPT.search(page)
    at = len(page) if first is None else first.start()
    head, rest = page[:at], page[at:]
    rest = _SCRIPT.sub(lambda match: script(match[1]), rest)
    if late is not None:
        # ECharts stands before the page's own scripts, which look for it.
        rest = "".join(script(path) for path in _SCRIPT.findall(late[1])) + rest
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash_of, scripts))}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
    head = head.replace('<meta charset="utf-8">\n', f'<meta charset="utf-8">\n{meta}', 1)
    head = _TITLE.sub(lambda _: f"<title>{escape(printable(title))}</title>", head)
    return f'{head}<script type="application/json" id="aiohpo-data">{block}</script>\n{rest}'


def _read(files: Traversable, path: str) -> str:
    return files.joinpath(*path.split("/")).read_text("utf-8")


def _hash_of(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}'"
