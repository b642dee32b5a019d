/* Who is there: each worker with its slots, what they run, at which step and for how long. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const MOST = 200; // workers that are drawn with their slots
  const MOST_SLOTS = 64; // of a worker
  const WORDS = {
    alive: "alive",
    suspect: "suspect: silent, and one peer accuses it",
    dead: "dead: declared so by its peers",
    left: "left in good order",
    unknown: "unknown: named in the log, never met",
  };

  function slot(context, trial, now) {
    const { store } = context;
    const top = store.study.max_steps;
    const seconds = trial.seconds + Math.max(0, now);
    return h(
      "div",
      { class: "slot" },
      h(
        "div",
        { class: "slot-line" },
        h("a", { href: context.link("trial", trial.id) }, `Trial #${trial.number}`),
        h(
          "span",
          { class: "muted" },
          `step ${format.count(trial.step)}${top ? ` of ${format.count(top)}` : ""} · ${format.duration(seconds)}`,
        ),
      ),
      top
        ? h(
            "div",
            { class: "bar", "aria-hidden": "true" },
            h("span", { style: { width: `${Math.min(100, (100 * trial.step) / top)}%` } }),
          )
        : null,
    );
  }

  function card(context, worker, now) {
    const away = worker.status === "dead" || worker.status === "left";
    const idle = away ? 0 : Math.max(0, worker.slots - worker.running.length);
    const where = [worker.host, worker.pid === null ? null : `pid ${worker.pid}`].filter(Boolean).join(" · ");
    const running = worker.running.slice(0, MOST_SLOTS);
    return h(
      "section",
      { class: "worker", "aria-label": `Worker ${worker.id}, ${worker.status}` },
      h(
        "div",
        { class: "worker-line" },
        h("strong", null, worker.rank === null ? worker.id : `${worker.rank} · ${worker.id}`),
        h("span", { class: "status", "data-status": worker.status, title: WORDS[worker.status] }, worker.status),
        h("span", { class: "muted" }, where),
        h("span", { class: "muted" }, `since ${format.moment(worker.started)}`),
        h(
          "span",
          null,
          format.plural(worker.trials, "trial"),
          h("span", { class: "muted" }, ` in ${format.duration(worker.busy_seconds)}`),
        ),
        away ? null : h("span", { class: "muted" }, `${format.percent(worker.utilisation)} busy`),
      ),
      worker.unanswered.length
        ? h("p", { class: "notice" }, `Nobody has answered at ${worker.unanswered.join(", ")}.`)
        : null,
      running.length || idle
        ? h(
            "div",
            { class: "slots" },
            running.map((trial) => slot(context, trial, away ? 0 : now)),
            idle
              ? h("div", { class: "slot idle" }, idle === 1 ? "1 slot waits" : `${format.count(idle)} slots wait`)
              : null,
          )
        : null,
      away && worker.running.length
        ? h("p", { class: "muted" }, "What it ran is taken over by the others, from its last checkpoint.")
        : null,
      worker.running.length > MOST_SLOTS
        ? h("p", { class: "muted" }, `and ${format.plural(worker.running.length - MOST_SLOTS, "trial")} more`)
        : null,
    );
  }

  AIO.views.workers = {
    title: "Workers",
    badge: (store) => (store.summary ? format.count(store.summary.workers_total ?? store.summary.workers.length) : ""),
    mount(host, context) {
      const { store } = context;
      const head = h("p", { class: "muted" }),
        list = h("div"),
        tools = h("div", { class: "view-tools" });
      let shown = "all";
      tools.append(
        AIO.choice(
          "Which workers",
          [
            ["all", "All"],
            ["here", "Here"],
            ["away", "Away"],
          ],
          shown,
          (value) => {
            shown = value;
            draw();
          },
        ),
      );
      fill(
        host,
        h("div", { class: "view-head" }, h("h1", null, "Workers"), head, tools),
        h("div", { class: "card" }, list),
      );

      function draw() {
        if (!store.summary) return;
        const workers = store.summary.workers;
        const total = store.summary.workers_total ?? workers.length;
        AIO.setText(
          head,
          total
            ? Object.entries(store.summary.states)
                .map(([status, n]) => `${format.count(n)} ${status}`)
                .join(" · ")
            : "",
        );
        const wanted = workers.filter(
          (worker) => shown === "all" || (shown === "away") === (worker.status === "dead" || worker.status === "left"),
        );
        const ago = AIO.source.embedded ? 0 : store.now() - store.summary.time;
        if (!wanted.length) {
          fill(
            list,
            workers.length
              ? AIO.empty(`No worker is ${shown}`, "")
              : AIO.empty(
                  "No worker has started yet",
                  "Start one with `aiohpo worker FILE --dir DIR`, on this machine or another.",
                ),
          );
          return;
        }
        const focused =
          document.activeElement && list.contains(document.activeElement)
            ? document.activeElement.getAttribute("href")
            : null;
        fill(
          list,
          wanted.slice(0, MOST).map((worker) => card(context, worker, ago)),
          wanted.length > MOST || total > workers.length
            ? h("p", { class: "muted" }, `and ${format.plural(total - Math.min(MOST, wanted.length), "worker")} more`)
            : null,
        );
        if (focused) {
          // a redrawn list must not throw the keyboard back to the top of the page
          const again = [...list.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
          if (again) again.focus({ preventScroll: true });
        }
      }

      const paced = AIO.paced(draw, 400);
      draw();
      const ticking = AIO.source.embedded ? null : setInterval(paced, 1000);
      return {
        update(changed) {
          if (changed.summary) paced();
        },
        remove() {
          paced.stop();
          clearInterval(ticking);
        },
      };
    },
  };
})();
