/* How the search stands: the figures, the best value over time or over trials, how busy the workers are. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const ORDER = ["finished", "stopped", "paused", "running", "failed", "lost", "surplus", "queued"];

  function tiles(context) {
    const { store } = context;
    const { study, slots, here } = store.summary,
      best = study.best;
    const tile = (term, figure, note) =>
      h("div", { class: "tile" }, h("dt", null, term), h("dd", null, figure), h("dd", { class: "note" }, note || " "));
    return h(
      "dl",
      { class: "tiles", "aria-label": "Key figures" },
      tile(
        `Best ${store.metric}`,
        best && best.value !== null ? format.number(best.value) : "–",
        best ? h("a", { href: context.link("trial", best.id) }, `trial #${best.number}`) : "no result yet",
      ),
      tile(
        "Trials done",
        format.count(study.done),
        study.trials === null ? "no limit set" : `of ${format.count(study.trials)}`,
      ),
      tile("Running", format.count(study.running), `in ${format.plural(slots, "slot")}`),
      tile("Rate", study.rate > 0 ? rateText(study.rate) : "–", "over the last minute"),
      tile("Utilisation", format.percent(study.utilisation), "of the slots' time"),
      tile(
        "Elapsed",
        format.duration(study.elapsed),
        study.remaining > 0 && here ? `about ${format.duration(study.remaining)} left` : " ",
      ),
    );
  }

  const rateText = (rate) =>
    rate >= 1
      ? `${format.number(rate, 3)} /s`
      : rate >= 1 / 60
        ? `${format.number(rate * 60, 3)} /min`
        : `${format.number(rate * 3600, 3)} /h`;

  function countsBar(counts) {
    const shown = ORDER.filter((status) => counts[status]);
    const sum = shown.reduce((total, status) => total + counts[status], 0) || 1;
    return [
      h(
        "div",
        { class: "bar", "aria-hidden": "true" },
        shown.map((status) =>
          h("span", { style: { width: `${(100 * counts[status]) / sum}%`, background: `var(--${status})` } }),
        ),
      ),
      h(
        "div",
        { class: "legend" },
        shown.map((status) =>
          h("span", { class: "status", "data-status": status }, h("b", null, format.count(counts[status])), status),
        ),
      ),
    ];
  }

  function incumbent(context) {
    const best = context.store.summary.study.best;
    if (!best) return AIO.empty("No trial has a result yet", "The best configuration stands here as soon as one has.");
    const partial = best.status !== "finished" && best.status !== "surplus";
    return [
      h(
        "p",
        { class: "muted", style: { "margin-bottom": "0.6rem" } },
        h("a", { href: context.link("trial", best.id) }, `Trial #${best.number}`),
        ` · step ${format.count(best.step)}`,
        partial ? " · none is complete yet; this one got farthest" : "",
      ),
      h(
        "dl",
        { class: "pairs figures" },
        Object.entries(best.config).map(([name, value]) => [h("dt", null, name), h("dd", null, format.value(value))]),
      ),
    ];
  }

  const ENOUGH = 5; // complete trials, from which on they rather than partial results say what is to be seen

  /* The part of the axis to show: what suits the complete results, and the better half of all. */
  function rangeOf(values, whole, sign) {
    if (whole.length < ENOUGH) return AIO.decimate.usefulRange(values, sign);
    const [low, high] = AIO.decimate.usefulRange(whole, sign),
      half = AIO.columns.quantile(values, 0.5);
    const range = [Math.min(low, half), Math.max(high, half)];
    return [...range, values.reduce((n, value) => n + (value < range[0] || value > range[1]), 0)];
  }

  /* The results in the order in which they came: [x, value, best so far], thinned out to what can be seen. */
  function history(store, over, width, height) {
    const { ended, value, complete } = store.trials;
    const rows = AIO.columns.sorted(
      store.visibleRows().filter((row) => ended[row] === ended[row] && value[row] === value[row]),
      (row) => ended[row],
    );
    const n = rows.length;
    const values = Float64Array.from(rows, (row) => value[row]);
    const best = AIO.decimate.running(
      values.map((each, i) => (complete[rows[i]] ? each : NaN)),
      store.sign,
    );
    const xs =
      over === "time"
        ? Float64Array.from(rows, (row) => store.elapsed(ended[row]))
        : Float64Array.from(rows, (_, i) => i + 1);
    const range = rangeOf(
      values,
      values.filter((_, i) => complete[rows[i]]),
      store.sign,
    );
    const improved = (i) => best[i] === best[i] && (i === 0 || best[i] !== best[i - 1]);
    const kept = AIO.decimate.thin(
      xs,
      values,
      Math.max(100, Math.round(width / 3)),
      Math.round(height / 3),
      range,
      (i) => improved(i) || i === n - 1,
    );
    let improvements = 0,
      whole = 0;
    for (let i = 0; i < n; i++) {
      improvements += improved(i);
      whole += complete[rows[i]];
    }
    const column = (at) => [null, ...Array.from(kept, at)]; // the first place is the start, where nothing is known
    const data = [
      [0, ...Array.from(kept, (i) => xs[i])],
      column((i) => (complete[rows[i]] ? null : values[i])),
      column((i) => (complete[rows[i]] ? values[i] : null)),
      column((i) => (best[i] === best[i] ? best[i] : null)),
    ];
    return { data, range, improvements, complete: whole, partial: n - whole, best: n ? best[n - 1] : NaN };
  }

  function historyChart(context) {
    const { store } = context;
    let over = "time",
      log = false,
      range = null;
    const title = () => `${store.metric} (${store.study.mode === "max" ? "higher" : "lower"} is better)`;
    let chart = null;
    const host = h("div");

    function build() {
      if (chart) chart.remove();
      chart = AIO.charts.chart({
        label: `Best ${store.metric} over ${over === "time" ? "time" : "trials"}`,
        height: 300,
        x:
          over === "time"
            ? { label: "time since the start", short: "time", kind: "duration" }
            : { label: "trials, in the order of their results", short: "trial" },
        y: {
          label: title(),
          log: () => log && range && range.positive,
          range: () => (range && !(log && range.positive) ? [range[0], range[1]] : null),
        },
        series: [
          { label: "partial result", type: "points", color: "chart-faint", size: 4 },
          { label: "result", type: "points", color: "chart-point", size: 4.5 },
          { label: "best so far", type: "step", color: "accent" },
        ],
      });
      fill(host, chart.node);
      draw();
    }

    function draw() {
      const found = history(store, over, chart.width || 800, 300);
      if (!found.complete && !found.partial) {
        if (!host.firstChild || !host.firstChild.classList.contains("empty")) {
          fill(host, AIO.empty("There is no result yet", "A point appears here as soon as a trial pauses or ends."));
        }
        return;
      }
      if (host.firstChild !== chart.node) fill(host, chart.node);
      range = found.range;
      range.positive =
        found.data[1].every((value) => value === null || value > 0) &&
        found.data[2].every((value) => value === null || value > 0);
      chart.set(found.data);
      chart.tell(
        [
          found.complete
            ? `${format.plural(found.complete, "complete trial")}; the best ${store.metric} is ${format.number(found.best)}${found.improvements > 1 ? ` after ${format.plural(found.improvements - 1, "improvement")}` : ", the first of them"}.`
            : "No trial is complete yet.",
          found.partial
            ? `${format.plural(found.partial, "other")} ended or paused before the last step; such a result is not compared.`
            : "",
          found.range[2] && !log
            ? `${format.plural(found.range[2], "result lies", "results lie")} outside this range.`
            : "",
        ]
          .filter(Boolean)
          .join(" "),
      );
    }

    const paced = AIO.paced(() => {
      if (chart) draw();
    });
    const tools = [
      AIO.timeOrTrials(over, (value) => {
        over = value;
        build();
      }),
      AIO.linearOrLog((value) => {
        log = value === "log";
        build();
      }),
    ];
    return {
      host,
      tools,
      build,
      draw: paced,
      remove() {
        paced.stop();
        if (chart) chart.remove();
      },
    };
  }

  function activityCharts(context) {
    const { store } = context;
    const make = (label, unit, color, range) =>
      AIO.charts.chart({
        label,
        height: 150,
        x: { label: "", short: "time", kind: "duration" },
        y: { label: unit, range },
        legend: true,
        series: [{ label: unit, type: "step", color, width: 1.5, gaps: true }],
      });
    const busy = make("Utilisation over time", "% busy", "s1", () => [0, 100]);
    const rate = make("Trials a second over time", "trials/s", "s3", null);
    const host = h(
      "div",
      { class: "grid" },
      h("div", { class: "span-6" }, h("h3", null, "Utilisation"), busy.node),
      h("div", { class: "span-6" }, h("h3", null, "Trials per second"), rate.node),
    );
    const problem = h("p", { class: "muted" });
    const query = AIO.refreshed(
      () => `runs/${encodeURIComponent(context.run)}/activity`,
      (answer) => {
        AIO.setText(problem, "");
        busy.set([answer.t, answer.utilisation.map((share) => (share === null ? null : 100 * share))]);
        rate.set([answer.t, answer.rate]);
        const known = answer.utilisation.filter((share) => share !== null);
        busy.tell(
          known.length
            ? `${format.percent(known.reduce((a, b) => a + b) / known.length)} on average.`
            : "No worker has run yet.",
        );
        rate.tell(
          answer.rate.length
            ? `At most ${format.number(Math.max(...answer.rate), 3)} a second.`
            : "No trial has ended yet.",
        );
      },
      (message) => AIO.setText(problem, message),
      2000,
    );
    return {
      host: h("div", null, host, problem),
      request: query.request,
      remove() {
        query.stop();
        busy.remove();
        rate.remove();
      },
    };
  }

  AIO.views.overview = {
    title: "Overview",
    mount(host, context) {
      const figures = h("div"),
        counts = h("div"),
        best = h("div");
      const chart = historyChart(context),
        activity = activityCharts(context);
      fill(
        host,
        h(
          "div",
          { class: "stack" },
          figures,
          h(
            "div",
            { class: "grid" },
            h(
              "div",
              { class: "span-8 stack" },
              AIO.section("Best over time", chart.tools, chart.host),
              AIO.section("Activity", null, activity.host),
            ),
            h(
              "div",
              { class: "span-4 stack" },
              AIO.section("Best configuration", null, best),
              AIO.section("Trials by status", null, counts),
            ),
          ),
        ),
      );

      function summary() {
        fill(figures, tiles(context));
        fill(counts, countsBar(context.store.summary.study.counts));
        fill(best, incumbent(context));
      }

      summary();
      const begin = AIO.paced(chart.build); // the figures are there at once, the chart of a long run a moment later
      begin();
      const paced = AIO.paced(summary, 250);
      return {
        update(changed) {
          if (changed.summary) paced();
          if (changed.trials) {
            chart.draw();
            activity.request();
          }
        },
        remove() {
          begin.stop();
          paced.stop();
          chart.remove();
          activity.remove();
        },
      };
    },
  };
})();
