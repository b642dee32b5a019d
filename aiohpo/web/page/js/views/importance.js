/* How much each parameter matters, overall and among the best, and how the value depends on each of them. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const SLICES = 6; // parameters at first
  const POINTS = 3000; // in a slice
  const METHODS = { fanova: "fANOVA", "ped-anova": "PED-ANOVA" };

  function bars(answer) {
    const parameters = answer.parameters;
    const most = Math.max(
      1e-9,
      ...parameters.map((each) => Math.max(each.high ?? each.importance, each.among_best_high ?? each.among_best ?? 0)),
    );
    const width = (value) => `${Math.max(0, Math.min(100, (100 * value) / most))}%`;
    const interval = (low, high) =>
      low === null || low === undefined
        ? null
        : h("i", { style: { left: width(low), width: `calc(${width(high)} - ${width(low)})` } });
    const bar = (value, low, high, second) =>
      h(
        "span",
        { class: "hbar", style: { height: "0.7rem" } },
        value === null || value === undefined
          ? null
          : [h("span", { class: second ? "second" : null, style: { width: width(value) } }), interval(low, high)],
      );
    return [
      h(
        "div",
        { class: "hbars", "aria-hidden": "true" },
        parameters.map((each) => [
          h("span", { class: "name", title: each.parameter }, each.parameter),
          h(
            "span",
            { style: { display: "grid", gap: "2px" } },
            bar(each.importance, each.low, each.high, false),
            bar(each.among_best, each.among_best_low, each.among_best_high, true),
          ),
          h("span", { class: "figure" }, format.percent(each.importance)),
        ]),
      ),
      h(
        "div",
        { class: "legend" },
        h("span", { class: "key" }, h("i", { style: { background: "var(--bar-1)" } }), "over all trials"),
        h("span", { class: "key" }, h("i", { style: { background: "var(--bar-2)" } }), "among the best tenth"),
        h("span", { class: "muted" }, "lines: 90 % intervals"),
      ),
      h(
        "details",
        null,
        h("summary", null, "As a table"),
        AIO.table(
          "Importances",
          ["Parameter", "Overall", "90 % interval", "Among the best", "90 % interval", "Active in"],
          parameters.map((each) => [
            each.parameter,
            format.number(each.importance, 3),
            range(each.low, each.high),
            format.number(each.among_best, 3),
            range(each.among_best_low, each.among_best_high),
            format.percent(each.active),
          ]),
          [1, 2, 3, 4, 5],
        ),
      ),
    ];
  }

  const range = (low, high) =>
    low === null || low === undefined ? "–" : `${format.number(low, 2)} … ${format.number(high, 2)}`;

  /* A slice: the value over one parameter, later trials darker. */
  function slice(context, parameter) {
    const { store } = context;
    const choice = parameter.kind === "choice";
    let points = null;
    const chart = AIO.charts.chart({
      label: `${store.metric} over ${parameter.name}`,
      height: 190,
      legend: false,
      x: {
        label: "",
        log: parameter.log && !choice,
        splits: choice ? () => [] : undefined,
        whole: parameter.whole,
        range: (u, low, high) => (choice ? [-0.5, parameter.choices.length - 0.5] : padded(parameter)),
      },
      y: { label: "", range: () => points && [points.low, points.high] },
      paint,
      series: [{ label: store.metric, type: "none" }],
    });

    function paint(u) {
      if (!points) return;
      const { ctx } = u,
        ratio = uPlot.pxRatio,
        radius = 2.2 * ratio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      ctx.clip();
      ctx.globalAlpha = points.xs.length > 1000 ? 0.5 : 0.8;
      for (let i = 0; i < points.xs.length; i++) {
        ctx.fillStyle = points.shades[points.order[i]];
        ctx.beginPath();
        ctx.arc(u.valToPos(points.xs[i], "x", true), u.valToPos(points.ys[i], "y", true), radius, 0, 7);
        ctx.fill();
      }
      ctx.restore();
      if (!choice) return;
      ctx.save();
      ctx.font = `${11 * ratio}px system-ui, sans-serif`;
      ctx.fillStyle = AIO.theme.color("chart-axis");
      ctx.textAlign = "center";
      const room = u.bbox.width / parameter.choices.length / (6.2 * ratio);
      parameter.choices.forEach((text, i) =>
        ctx.fillText(shorten(String(text), room), u.valToPos(i, "x", true), u.bbox.top + u.bbox.height + 15 * ratio),
      );
      ctx.restore();
    }

    function draw() {
      const rows = store.completeRows(),
        column = store.param(parameter.name);
      const active = rows.filter((row) => column[row] === column[row]);
      const values = Float64Array.from(active, (row) => store.trials.value[row]);
      const [low, high] = AIO.decimate.usefulRange(values, store.sign);
      const stride = Math.max(1, Math.ceil(active.length / POINTS));
      const xs = [],
        ys = [],
        order = [];
      for (let i = 0; i < active.length; i += stride) {
        const row = active[i];
        const jitter = choice ? (((row * 0.61803398875) % 1) - 0.5) * 0.5 : 0;
        xs.push(column[row] + jitter);
        ys.push(store.trials.value[row]);
        order.push(Math.min(31, Math.floor((32 * store.trials.number[row]) / (store.n + 1))));
      }
      if (xs.length < 2) {
        chart.tell(`${format.plural(xs.length, "complete trial")} with it active.`);
        return;
      }
      points = { xs, ys, order, low, high, shades: Array.from({ length: 32 }, (_, i) => AIO.theme.scale(i / 31)) };
      let first = Infinity,
        last = -Infinity;
      for (const x of xs) {
        first = Math.min(first, x);
        last = Math.max(last, x);
      }
      chart.set([
        [first, last],
        [low, high],
      ]);
      const best = active[AIO.columns.sorted(Uint32Array.from(active.keys()), (i) => store.sign * values[i])[0]];
      chart.tell(`${format.plural(active.length, "trial")}; the best is at ${store.paramText(parameter, best)}.`);
    }

    const unwatch = AIO.theme.onchange(draw);
    return {
      node: h("div", null, h("h3", null, parameter.name), chart.node),
      draw,
      remove() {
        unwatch();
        chart.remove();
      },
    };
  }

  const shorten = (text, room) => (text.length > room ? `${text.slice(0, Math.max(1, Math.floor(room) - 1))}…` : text);
  const padded = (parameter) => {
    if (parameter.log) return [parameter.low / 1.12, parameter.high * 1.12];
    const margin = (parameter.high - parameter.low) * 0.03 || 0.5;
    return [parameter.low - margin, parameter.high + margin];
  };

  AIO.views.importance = {
    title: "Importance",
    mount(host, context) {
      const { store } = context;
      const box = h("div", null, h("p", { class: "loading" }, "Reading …")),
        grid = h("div", { class: "slices" }),
        lead = h("p", { class: "muted" });
      const more = h(
        "button",
        {
          type: "button",
          class: "quiet",
          onclick: () => {
            limit = Infinity;
            arrange();
          },
        },
        "Show all parameters",
      );
      let slices = new Map(),
        ranking = [],
        limit = SLICES;

      function arrange() {
        const named = new Map(store.parameters.map((each) => [each.name, each]));
        const order = [
          ...ranking.filter((name) => named.has(name)),
          ...store.parameters.map((each) => each.name).filter((name) => !ranking.includes(name)),
        ];
        const wanted = order.slice(0, limit);
        for (const [name, each] of slices)
          if (!wanted.includes(name)) {
            each.remove();
            slices.delete(name);
          }
        for (const name of wanted) if (!slices.has(name)) slices.set(name, slice(context, named.get(name)));
        fill(
          grid,
          wanted.map((name) => slices.get(name).node),
        );
        more.hidden = order.length <= wanted.length;
        for (const name of wanted) slices.get(name).draw();
      }

      const query = AIO.refreshed(
        () => `runs/${encodeURIComponent(context.run)}/importance`,
        (answer) => {
          AIO.setText(
            lead,
            `${answer.of > answer.trials ? `${format.count(answer.trials)} of ${format.plural(answer.of, "trial")}` : format.plural(answer.trials, "trial")} compared${answer.step ? ` by their values at step ${format.count(answer.step)}` : ""} with ${METHODS[answer.method] || answer.method}${
              answer.interactions > 0.005
                ? `; ${format.percent(answer.interactions)} of the variation comes from interactions`
                : ""
            }`,
          );
          fill(box, bars(answer));
          const before = ranking.slice(0, limit).join("\n");
          ranking = answer.parameters.map((each) => each.parameter);
          if (ranking.slice(0, limit).join("\n") !== before) arrange();
        },
        (message) => fill(box, AIO.empty("There is no importance to show yet", "", message)),
        5000,
      );

      fill(
        host,
        h("div", { class: "view-head" }, h("h1", null, "Importance"), lead),
        h(
          "div",
          { class: "stack" },
          AIO.section("How much each parameter matters", null, box),
          AIO.section(
            "Slices",
            h("span", null, "each complete trial, later ones in the strong end of the scale"),
            grid,
            more,
          ),
        ),
      );
      arrange();
      const paced = AIO.paced(() => {
        for (const each of slices.values()) each.draw();
      }, 2000);
      return {
        update(changed) {
          if (changed.trials) {
            paced();
            query.request();
          }
        },
        remove() {
          paced.stop();
          query.stop();
          for (const each of slices.values()) each.remove();
        },
      };
    },
  };
})();
