/* A folder of runs: choose one, or overlay the best over time of several. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const COLORS = 7,
    AT_FIRST = 4,
    MOST = 14;

  /* The improvements of several runs on one axis: [xs, values of the first, of the second, …], null where there is none. */
  function aligned(curves) {
    const all = curves.flatMap((curve) => curve.map((point) => point[0])).sort((a, b) => a - b);
    const xs = all.filter((x, i) => i === 0 || x !== all[i - 1]);
    const end = xs[xs.length - 1];
    return [
      xs,
      ...curves.map((curve) => {
        let at = 0,
          value = null;
        return xs.map((x) => {
          while (at < curve.length && curve[at][0] <= x) value = curve[at++][1];
          return x <= end ? value : null;
        });
      }),
    ];
  }

  function overlay(stores, over) {
    return stores.map((store) => {
      const points = (over === "time" ? store.summary.study.curve : store.summary.over_trials).map(([x, value]) => [
        x,
        value,
      ]);
      const last = over === "time" ? store.summary.study.elapsed : store.summary.study.ended;
      if (points.length && last > points[points.length - 1][0]) points.push([last, points[points.length - 1][1]]);
      return points;
    });
  }

  AIO.views.runs = {
    title: "Runs",
    folder: true,
    mount(host, context) {
      const list = h("div", null, h("p", { class: "loading" }, "Reading …")),
        box = h("div"),
        lead = h("p", { class: "muted" }),
        problem = h("p", { class: "field-error", role: "alert" });
      const states = new Map(); // run id -> Store; only its summary is looked at
      let runs = [],
        chosen = null,
        over = "time",
        chart = null;

      async function load(id) {
        if (states.has(id)) return;
        const store = new AIO.Store();
        const delta = await AIO.source.get(`runs/${encodeURIComponent(id)}/state?summary=1`);
        store.apply({ ...delta, trials: null }); // the rows of other runs are not kept
        states.set(id, store);
      }

      async function draw() {
        AIO.setText(problem, "");
        const ids = runs
          .map((run) => run.id)
          .filter((id) => chosen.has(id))
          .slice(0, MOST);
        try {
          const fresh = ids.filter((id) => !states.has(id));
          for (const id of ids) await load(id);
          if (fresh.length) query.restart(); // the list knows more of a run that was read
        } catch (error) {
          AIO.setText(problem, error.message);
        }
        const shown = ids.filter((id) => states.has(id) && states.get(id).summary);
        if (chart) {
          chart.remove();
          chart = null;
        }
        const named = shown.map((id) => runs.find((run) => run.id === id));
        const metrics = new Set(named.map((run) => `${run.metric} ${run.mode}`));
        if (!shown.length) {
          fill(box, AIO.empty("No run is chosen", "Tick the runs to compare in the table."));
          return;
        }
        const data = aligned(
          overlay(
            shown.map((id) => states.get(id)),
            over,
          ),
        );
        if (data[0].length < 2) {
          fill(box, AIO.empty("These runs have no result yet", "A curve begins with the first complete trial."));
          return;
        }
        const [low, high] = AIO.decimate.usefulRange(
          data
            .slice(1)
            .flat()
            .filter((value) => value !== null),
          named[0].mode === "max" ? -1 : 1,
        );
        chart = AIO.charts.chart({
          label: "Best value of several runs",
          height: 340,
          x:
            over === "time"
              ? { label: "time since the start", short: "time", kind: "duration" }
              : { label: "trials", short: "trials" },
          y: { label: named[0].metric, range: () => [low, high] },
          series: named.map((run, i) => ({ label: run.name, type: "step", color: `s${(i % COLORS) + 1}` })),
        });
        fill(
          box,
          metrics.size > 1
            ? h("p", { class: "notice" }, "These runs have different metrics, so their curves should not be compared.")
            : null,
          chart.node,
        );
        chart.set(data);
        const ends = data
          .slice(1)
          .map((column, i) => [named[i].name, column[column.length - 1]])
          .filter(([, value]) => value !== null);
        chart.tell(`Best at the end: ${ends.map(([name, value]) => `${name} ${format.number(value)}`).join(", ")}.`);
      }

      function table() {
        fill(
          list,
          AIO.table(
            "Runs of this folder",
            ["Compare", "Run", "Metric", "Best", "Trials", "Workers", "Searcher", "Scheduler", "Created"],
            runs.map((run) => [
              run.error
                ? ""
                : h("input", {
                    type: "checkbox",
                    "aria-label": `Compare ${run.name}`,
                    checked: chosen.has(run.id),
                    onchange: (event) => {
                      if (event.target.checked) chosen.add(run.id);
                      else chosen.delete(run.id);
                      draw();
                    },
                  }),
              run.error
                ? [run.name, h("p", { class: "field-error" }, run.error)]
                : h(
                    "a",
                    {
                      href: context.linkTo(run.id, "overview"),
                      "aria-current": run.id === context.run ? "true" : null,
                    },
                    run.name,
                  ),
              run.metric ? `${run.metric} (${run.mode})` : "–",
              run.progress
                ? format.number(
                    run.progress.best && typeof run.progress.best === "object"
                      ? run.progress.best.value
                      : run.progress.best,
                  )
                : "–",
              run.progress
                ? `${format.count(run.progress.done)}${run.trials ? ` of ${format.count(run.trials)}` : ""}`
                : run.trials
                  ? `of ${format.count(run.trials)}`
                  : "–",
              run.progress ? format.count(run.progress.workers) : "–",
              run.searcher || "–",
              run.scheduler || "–",
              format.moment(Date.parse(run.created) / 1000),
            ]),
            [3, 4, 5],
          ),
        );
      }

      const query = AIO.refreshed(
        () => "runs",
        (answer) => {
          runs = answer.runs;
          AIO.setText(lead, format.plural(runs.length, "run"));
          if (!chosen) {
            const first = runs.find((run) => run.id === context.run) || runs[0] || {};
            const alike = runs.filter((run) => !run.error && run.metric === first.metric && run.mode === first.mode);
            chosen = new Set(
              [first, ...alike]
                .filter((run) => !run.error)
                .map((run) => run.id)
                .slice(0, AT_FIRST),
            );
            draw();
          }
          if (runs.length) table();
          else fill(list, AIO.empty("There is no run in this folder", "`aiohpo run FILE --dir DIR` makes one."));
        },
        (message) => fill(list, AIO.empty("The runs could not be listed", "", message)),
        5000,
      );

      fill(
        host,
        h("div", { class: "view-head" }, h("h1", null, "Runs"), lead),
        h(
          "div",
          { class: "stack" },
          h("div", { class: "card" }, list),
          problem,
          AIO.section(
            "Best of the chosen runs",
            AIO.timeOrTrials(over, (value) => {
              over = value;
              draw();
            }),
            box,
          ),
        ),
      );
      return {
        update() {},
        remove() {
          query.stop();
          if (chart) chart.remove();
        },
      };
    },
  };
})();
