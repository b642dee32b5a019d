/* Learning curves against the rungs' thresholds, and how many trials got to each rung. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const NEAR = 14; // pixels within which the pointer means a curve

  function funnel(context) {
    const { summary, metric } = context.store;
    const rungs = summary.funnel || [];
    if (!rungs.length)
      return AIO.empty(
        "This search has no rungs",
        "A scheduler that pauses trials, such as `asha` or `hyperband`, compares them at rungs.",
      );
    const most = Math.max(1, ...rungs.map((rung) => rung.reached));
    return [
      h(
        "div",
        { class: "hbars", "aria-hidden": "true" },
        rungs.map((rung) => [
          h("span", { class: "name" }, `step ${format.count(rung.step)}`),
          h(
            "span",
            { class: "hbar" },
            h("span", { style: { width: `${(100 * rung.reached) / most}%`, background: "var(--paused)" } }),
            h("span", { style: { width: `${(100 * rung.promoted) / most}%`, background: "var(--finished)" } }),
          ),
          h("span", { class: "figure" }, format.count(rung.reached)),
        ]),
      ),
      h(
        "div",
        { class: "legend" },
        h("span", { class: "key" }, h("i", { style: { background: "var(--finished)" } }), "went on"),
        h("span", { class: "key" }, h("i", { style: { background: "var(--paused)" } }), "reached it"),
      ),
      h(
        "div",
        { style: { "margin-top": "0.75rem" } },
        AIO.table(
          "The rungs",
          ["Rung", "Reached", "Went on", "Waiting", `Best ${metric}`, "Threshold"],
          rungs.map((rung) => [
            `step ${format.count(rung.step)}`,
            format.count(rung.reached),
            format.count(rung.promoted),
            format.count(rung.waiting),
            format.number(rung.best),
            format.number(rung.threshold),
          ]),
          [1, 2, 3, 4, 5],
        ),
      ),
    ];
  }

  AIO.views.curves = {
    title: "Curves",
    mount(host, context) {
      const { store } = context;
      let metric = null,
        answer = null,
        near = null,
        log = false,
        color = "value";
      const box = h("div"),
        rungs = h("div"),
        picker = h("span");
      const tip = h("div", { class: "tip", hidden: true });
      const lead = h("p", { class: "muted" });

      const shades = () => {
        const last = answer.curves
          .map((curve) => curve.values[curve.values.length - 1])
          .filter(Number.isFinite)
          .sort((a, b) => a - b);
        return (curve) => {
          const place = last.findIndex((value) => value >= curve.values[curve.values.length - 1]);
          const share = last.length > 1 ? place / (last.length - 1) : 1;
          return AIO.theme.scale(store.sign > 0 ? 1 - share : share);
        };
      };

      function paint(u) {
        if (!answer) return;
        const { ctx } = u,
          ratio = uPlot.pxRatio,
          main = metric === null || metric === store.metric;
        ctx.save();
        ctx.beginPath();
        ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
        ctx.clip();
        const shade = shades();
        const trace = (curve, style, width) => {
          ctx.beginPath();
          let open = false;
          for (let i = 0; i < curve.steps.length; i++) {
            const value = curve.values[i];
            if (value === null || !Number.isFinite(value)) {
              open = false;
              continue;
            }
            const x = u.valToPos(curve.steps[i], "x", true),
              y = u.valToPos(value, "y", true);
            if (open) ctx.lineTo(x, y);
            else ctx.moveTo(x, y);
            open = true;
          }
          ctx.lineWidth = width * ratio;
          ctx.strokeStyle = style;
          ctx.lineJoin = "round";
          ctx.stroke();
          if (curve.steps.length === 1) {
            ctx.fillStyle = style;
            ctx.fillRect(
              u.valToPos(curve.steps[0], "x", true) - 2 * ratio,
              u.valToPos(curve.values[0], "y", true) - 2 * ratio,
              4 * ratio,
              4 * ratio,
            );
          }
        };
        const statusColor = (curve) => AIO.theme.color(store.statusName(curve.row)) || AIO.theme.color("chart-point");
        ctx.globalAlpha = answer.curves.length > 60 ? 0.7 : 0.9;
        for (const curve of answer.curves)
          if (curve.row !== answer.best) trace(curve, color === "status" ? statusColor(curve) : shade(curve), 1.2);
        ctx.globalAlpha = 1;
        const best = answer.curves.find((curve) => curve.row === answer.best);
        if (best) trace(best, AIO.theme.color("text"), 2.4);
        if (near && near !== best) trace(near, AIO.theme.color("accent"), 2.4);
        if (main) thresholds(u, ctx, ratio);
        ctx.restore();
      }

      function thresholds(u, ctx, ratio) {
        ctx.font = `${11 * ratio}px system-ui, sans-serif`;
        for (const rung of store.summary.funnel || []) {
          const x = u.valToPos(rung.step, "x", true);
          ctx.setLineDash([3 * ratio, 3 * ratio]);
          ctx.lineWidth = ratio;
          ctx.strokeStyle = AIO.theme.color("line-strong");
          ctx.beginPath();
          ctx.moveTo(x, u.bbox.top);
          ctx.lineTo(x, u.bbox.top + u.bbox.height);
          ctx.stroke();
          ctx.setLineDash([]);
          if (rung.threshold === null || rung.threshold === undefined) continue;
          const y = u.valToPos(rung.threshold, "y", true);
          ctx.strokeStyle = AIO.theme.color("failed");
          ctx.lineWidth = 2.5 * ratio;
          ctx.beginPath();
          ctx.moveTo(x - 9 * ratio, y);
          ctx.lineTo(x + 9 * ratio, y);
          ctx.stroke();
        }
      }

      function hover(u) {
        const { left, top } = u.cursor,
          before = near;
        near = null;
        let distance = NEAR;
        if (left >= 0 && answer) {
          for (const curve of answer.curves) {
            const step = u.posToVal(left, "x");
            let at = curve.steps.findIndex((each) => each >= step);
            if (at < 0) at = curve.steps.length - 1;
            for (const i of [at, at - 1]) {
              if (i < 0 || curve.values[i] === null) continue;
              const away = Math.hypot(u.valToPos(curve.steps[i], "x") - left, u.valToPos(curve.values[i], "y") - top);
              if (away < distance) {
                distance = away;
                near = curve;
                near.at = i;
              }
            }
          }
        }
        tip.hidden = !near;
        if (near) {
          fill(
            tip,
            h("strong", null, `Trial ${store.title(near.row)}`),
            ` · ${store.statusName(near.row)}`,
            h("br"),
            `step ${format.count(near.steps[near.at])}: ${format.number(near.values[near.at])}`,
          );
          tip.style.left = `${Math.min(left + 70, u.width - 180)}px`;
          tip.style.top = `${Math.max(0, top - 10)}px`;
        }
        if (near !== before) u.redraw(false);
      }

      const chart = AIO.charts.chart({
        label: "Learning curves",
        height: 420,
        legend: false,
        x: { label: "step", whole: true },
        y: { label: store.metric, log: () => log && positive(), range: () => range() },
        paint,
        hover,
        click: () => {
          if (near) context.go("trial", store.id(near.row));
        },
        series: [{ label: "range", type: "none" }],
      });
      chart.node.append(tip);

      const positive = () =>
        answer && answer.curves.every((curve) => curve.values.every((value) => value === null || value > 0));
      function range() {
        if (!answer || (log && positive())) return null;
        const all = [];
        for (const curve of answer.curves) for (const value of curve.values) if (value !== null) all.push(value);
        const [low, high] = AIO.decimate.usefulRange(all, store.sign);
        return [low, high];
      }

      function draw() {
        if (!answer.curves.length) {
          fill(
            box,
            AIO.empty(
              "No trial has reported anything yet",
              "Call `trial.report(…)` in the objective after each step of `trial.steps()`, and the curves appear here.",
            ),
          );
          return;
        }
        if (box.firstChild !== chart.node) fill(box, chart.node);
        let low = Infinity,
          high = -Infinity,
          first = Infinity,
          last = 0;
        for (const curve of answer.curves) {
          first = Math.min(first, curve.steps[0]);
          last = Math.max(last, curve.steps[curve.steps.length - 1]);
          for (const value of curve.values)
            if (value !== null) {
              low = Math.min(low, value);
              high = Math.max(high, value);
            }
        }
        chart.set([
          [Math.min(0, first - 1), last],
          [low, high],
        ]);
        const name = metric || store.metric;
        chart.tell(
          `${format.count(answer.curves.length)} of ${format.plural(answer.total, "learning curve")} of ${name}, the best in the strongest line${
            color === "value" ? ", the others from good to bad by their shade" : ""
          }. Dashed: rungs; short bars: the worst value with which a trial went on from there.`,
        );
      }

      const query = AIO.refreshed(
        () => `runs/${encodeURIComponent(context.run)}/curves${metric ? `?metric=${encodeURIComponent(metric)}` : ""}`,
        (fresh) => {
          answer = fresh;
          near = null;
          if (!picker.firstChild && fresh.metrics.length > 1) {
            fill(
              picker,
              h(
                "label",
                { class: "field" },
                "Metric",
                h(
                  "select",
                  {
                    onchange: (event) => {
                      metric = event.target.value;
                      query.restart();
                    },
                  },
                  fresh.metrics.map((name) => h("option", { value: name, selected: name === fresh.metric }, name)),
                ),
              ),
            );
          }
          draw();
        },
        (message) => fill(box, AIO.empty("The curves could not be read", "", message)),
        1500,
      );

      const tools = h(
        "div",
        { class: "view-tools" },
        picker,
        AIO.choice(
          "Colour",
          [
            ["value", "By result"],
            ["status", "By status"],
          ],
          color,
          (value) => {
            color = value;
            if (answer) draw();
            chart.redraw();
          },
        ),
        AIO.linearOrLog((value) => {
          log = value === "log";
          chart.rebuild();
        }),
      );
      fill(
        host,
        h("div", { class: "view-head" }, h("h1", null, "Curves"), lead, tools),
        h("div", { class: "stack" }, h("div", { class: "card" }, box), AIO.section("Rungs", null, rungs)),
      );
      fill(box, h("p", { class: "loading" }, "Reading …"));
      fill(rungs, funnel(context));
      const paced = AIO.paced(() => {
        fill(rungs, funnel(context));
        chart.redraw();
      }, 500);
      return {
        update(changed) {
          if (changed.trials) query.request();
          if (changed.summary) paced();
        },
        remove() {
          query.stop();
          paced.stop();
          chart.remove();
        },
      };
    },
  };
})();
