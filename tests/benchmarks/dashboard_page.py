"""What the dashboard costs the browser: with 100,000 trials, and with 1,000 events a second.

    python tests/benchmarks/dashboard_page.py [--quick]

The run and the server are those of ``dashboard.py``; the browser is Debian's Chromium, headless and without a GPU, in a
window of 1280 × 800 pixels. First the page is opened once the server has read the run:

  first figures, chart         milliseconds from the navigation until they are in the page
  main thread                  milliseconds that it worked until then, the browser's own part included
  heap                         megabytes of JavaScript objects and typed arrays, after a collection
  memory                       megabytes that the tab's process alone has (Private), and with what it shares (RSS)

Then each view is open for some seconds while a worker writes events at a steady rate:

  frames/s, longest            pictures that the browser drew, at most 60 a second, and milliseconds between two of them
  main thread                  its part of the time that it worked
  heap, memory                 as above, in the end

Milliseconds by the clock are those of the machine only where others leave it alone.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from dashboard import Server, Writers
from playwright.sync_api import CDPSession, Page, sync_playwright

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
VIEWS = ("overview", "trials", "workers", "timeline", "curves", "failures", "parallel", "importance")
WATCH = """
new MutationObserver((_, observer) => {
  if (!window.figures && document.querySelector(".tile")) window.figures = performance.now();
  if (document.querySelector(".u-over")) { window.chart = performance.now(); observer.disconnect(); }
}).observe(document, {subtree: true, childList: true});
window.frames_ = [];
let last = 0;
const frame = at => { if (last) window.frames_.push(at - last); last = at; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
"""


class Tab:
    """A page of the browser and what it uses."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("Performance.enable")
        page.add_init_script(WATCH)

    def metric(self, name: str) -> float:
        """A figure of Chromium's: JSHeapUsedSize, TaskDuration, …"""
        found: list[dict[str, Any]] = self._cdp.send("Performance.getMetrics")["metrics"]
        return next(float(each["value"]) for each in found if each["name"] == name)

    def memory(self) -> str:
        """The heap, and the memory of the tab's process, which is the largest renderer (Linux)."""
        self._cdp.send("HeapProfiler.collectGarbage")
        usage = self._cdp.send("Runtime.getHeapUsage")
        heap = (usage["usedSize"] + usage.get("backingStorageSize", 0)) / 1e6
        processes = []
        for entry in Path("/proc").iterdir():
            try:
                if b"--type=renderer" in (entry / "cmdline").read_bytes():
                    lines = (entry / "smaps_rollup").read_text().splitlines()[1:]
                    sizes = {
                        name: int(size.split()[0]) / 1e3 for name, _, size in (line.partition(":") for line in lines)
                    }
                    processes.append((sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Rss"]))
            except (OSError, NotADirectoryError):
                continue
        private, resident = max(processes)
        return f"heap {heap:5.1f} MB, memory {private:4.0f} MB ({resident:4.0f} with what is shared)"

    def watch(self, view: str, seconds: float) -> str:
        """Look at a view for so long; say how fluent it was."""
        self.page.evaluate("view => { location.hash = '#/' + view }", view)
        self.page.wait_for_selector("#view h1, #view h2")
        self.page.evaluate("window.frames_.length = 0")
        before, began = self.metric("TaskDuration"), time.perf_counter()
        self.page.wait_for_timeout(1000 * seconds)
        took = time.perf_counter() - began
        busy = (self.metric("TaskDuration") - before) / took
        gaps = self.page.evaluate("window.frames_")
        return f"{len(gaps) / took:4.1f} frames/s, longest {max(gaps):4.0f} ms, main thread {100 * busy:3.0f} %"


def write(writers: Writers, rate: int, stop: threading.Event, wrote: list[float]) -> None:
    """Write events at a steady rate until told to stop; note how many a second they were."""
    began, known = time.perf_counter(), writers.log.size
    while not stop.wait(0.05):
        while writers.log.size - known < rate * (time.perf_counter() - began):
            writers.trial()
        writers.write()
    wrote.append((writers.log.size - known) / (time.perf_counter() - began))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smaller run, for a trial")
    quick = parser.parse_args().quick
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("there is no chromium on the PATH")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        path = Path(place) / "run"
        writers = Writers(path)
        writers.trials(2_000 if quick else 100_000)
        server = Server(path)
        with server.open("state") as answer:  # for which it reads everything that there is
            size = len(answer.read())
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        tab = Tab(browser.new_page(viewport={"width": 1280, "height": 800}))
        tab.page.goto(f"{server.base.partition('api/')[0]}?token={server.token}#/overview")
        tab.page.wait_for_selector(".u-over", timeout=120_000)
        figures, chart = tab.page.evaluate("[window.figures, window.chart]")
        print(
            f"{writers.view.n_rows:,} trials, {size / 1e6:.1f} MB: first figures {figures:.0f} ms, "
            f"chart {chart:.0f} ms, main thread {1000 * tab.metric('TaskDuration'):.0f} ms",
            flush=True,
        )
        tab.page.wait_for_timeout(1000)
        print(tab.memory(), flush=True)
        stop, wrote = threading.Event(), []
        thread = threading.Thread(target=write, args=(writers, 1000, stop, wrote))
        thread.start()
        for view in VIEWS:
            fluent = tab.watch(view, 3.0 if quick else 10.0)
            print(f"{view:10} {fluent}, {tab.memory()}", flush=True)
        stop.set()
        thread.join()
        print(f"{wrote[0]:,.0f} events/s were written")
        browser.close()
        server.close()
        writers.close()


if __name__ == "__main__":
    main()
