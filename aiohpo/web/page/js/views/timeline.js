/* Who ran what when: a bar for each segment in the lane of its slot, with promotions and takeovers. */
"use strict";
(function () {
  const { h, fill, format } = AIO;
  const { decode } = AIO.columns;
  const LANE = 20, MOST_LANES = 32; // pixels; lanes seen at a time
  const [NEW, PROMOTED, PROMOTED_ELSEWHERE, TAKEN_OVER] = [0, 1, 2, 3];
  const KINDS = { [NEW]: "new trial", [PROMOTED]: "promoted, same worker", [PROMOTED_ELSEWHERE]: "promoted, another worker",
    [TAKEN_OVER]: "taken over" };
  const COLORS = { finished: "finished", stopped: "stopped", failed: "failed", paused: "paused", released: "lost", cancelled: "queued", open: "running" };
  const WORDS = { finished: "finished", stopped: "stopped early", failed: "failed", paused: "paused at a rung", released: "released", cancelled: "cancelled", open: "running, or never ended" };
  const WINDOWS = [["all", "All", Infinity], ["3600", "1 h", 3600], ["600", "10 min", 600], ["60", "1 min", 60]];
  const MOST_MOVES = 30; // lines of the table

  /* The server's answer as arrays, with the bars that moved to another worker linked to where they came from. */
  function understand(answer, store) {
    const bars = {};
    for (const [name, column] of Object.entries(answer.bars)) bars[name] = decode(column);
    const n = bars.row.length, latest = new Map(), links = [];
    const order = AIO.columns.sorted(Uint32Array.from({ length: n }, (_, i) => i), (i) => bars.began[i]);
    const until = new Float64Array(n);
    for (const i of order) {
      const open = store.study.endings[bars.how[i]] === "open";
      until[i] = bars.began[i] + (Number.isNaN(bars.seconds[i]) ? Math.max(answer.to - bars.began[i], 0) : bars.seconds[i]);
      if (open && Number.isNaN(bars.seconds[i])) until[i] = Math.max(until[i], bars.began[i]);
      const before = latest.get(bars.row[i]);
      if (before !== undefined && (bars.kind[i] === PROMOTED_ELSEWHERE || bars.kind[i] === TAKEN_OVER)) links.push([before, i]);
      latest.set(bars.row[i], i);
    }
    return { ...answer, bars, until, links, n };
  }

  /* One text for each lane: the worker's name at its first. */
  function laneTexts(view, store) {
    const texts = [];
    for (const lane of view.lanes) {
      const suffix = lane.status === "alive" ? "" : ` (${lane.status})`;
      for (let i = 0; i < lane.lanes; i++) texts[lane.top + i] = i ? "" : `${AIO.format.value(store.names[lane.worker] ?? "–")}${suffix}`;
    }
    for (let i = 0; i < texts.length; i++) texts[i] = texts[i] || "";
    return texts.length ? texts : [""];
  }

  const shorten = (text) => (text.length > 20 ? `${text.slice(0, 9)}…${text.slice(-10)}` : text);

  function rendered(view, store) {
    const color = AIO.theme.color, endings = store.study.endings;
    return {
      bar(params, api) {
        const i = api.value(3), lane = api.value(2);
        const [x, y] = api.coord([api.value(0), lane]), [end] = api.coord([api.value(1), lane]);
        const height = Math.min(api.size([0, 1])[1] * 0.72, 14);
        const shape = window.echarts.graphic.clipRectByRect({ x, y: y - height / 2, width: Math.max(end - x, 1.5), height }, params.coordSys);
        if (!shape) return null;
        const bar = { type: "rect", shape: { ...shape, r: shape.width > 6 ? 2 : 0 }, style: { fill: color(COLORS[endings[view.bars.how[i]]] || "queued") } };
        const kind = view.bars.kind[i];
        if (kind !== NEW && shape.width > 4 && x >= params.coordSys.x) {
          const size = Math.min(height * 0.75, 8), left = shape.x + 1.5;
          const points = kind === TAKEN_OVER ? [[left, y], [left + size / 2, y - size / 2], [left + size, y], [left + size / 2, y + size / 2]]
            : [[left, y - size / 2], [left + size, y], [left, y + size / 2]];
          return { type: "group", children: [bar, { type: "polygon", shape: { points }, style: { fill: color("surface") } }] };
        }
        return bar;
      },
      link(params, api) {
        const from = api.value(0), to = api.value(1);
        const a = api.coord([view.until[from], view.bars.lane[from]]), b = api.coord([view.bars.began[to], view.bars.lane[to]]);
        const area = params.coordSys;
        if (a[0] > area.x + area.width || b[0] < area.x) return null;
        const middle = (a[0] + b[0]) / 2;
        const over = view.bars.kind[to] === TAKEN_OVER;
        return { type: "bezierCurve", silent: true,
          shape: { x1: a[0], y1: a[1], cpx1: middle, cpy1: a[1], cpx2: middle, cpy2: b[1], x2: b[0], y2: b[1] },
          style: { stroke: color(over ? "takeover" : "muted"), lineWidth: over ? 1.6 : 0.8, fill: "none", opacity: over ? 0.9 : 0.4, lineDash: over ? "solid" : [3, 3] } };
      },
    };
  }

  function tooltip(view, store, i) {
    const { bars } = view;
    const lines = [h("strong", null, `Trial ${store.title(bars.row[i])}`), ` · ${WORDS[store.study.endings[bars.how[i]]] || ""}`, h("br"),
      `worker ${store.names[bars.worker[i]]}`, h("br"), `from ${format.duration(bars.began[i])} for ${format.duration(view.until[i] - bars.began[i])}`];
    if (bars.to_step[i]) lines.push(h("br"), `to step ${format.count(bars.to_step[i])}`);
    if (bars.kind[i] !== NEW) lines.push(h("br"), KINDS[bars.kind[i]], bars.attempt[i] ? ` (attempt ${bars.attempt[i] + 1})` : "");
    return h("div", null, lines); // a node, so that nothing in it is read as HTML
  }

  function options(view, store, width) {
    const color = AIO.theme.color, draw = rendered(view, store), lanes = laneTexts(view, store);
    const many = lanes.length > MOST_LANES, gutter = Math.round(Math.min(150, 0.25 * width));
    const zoom = [{ type: "inside", xAxisIndex: 0, filterMode: "none", minValueSpan: 0.05 },
      { type: "slider", xAxisIndex: 0, filterMode: "none", height: 16, bottom: 8, showDetail: false, brushSelect: false, borderColor: color("line"), fillerColor: color("accent-soft"),
        handleStyle: { color: color("surface"), borderColor: color("line-strong") }, dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } } }];
    if (many) {
      zoom.push({ type: "slider", yAxisIndex: 0, filterMode: "none", width: 14, right: 4, startValue: 0, endValue: MOST_LANES - 1, showDetail: false, brushSelect: false,
        borderColor: color("line"), fillerColor: color("accent-soft") });
    }
    return {
      animation: false, textStyle: { fontFamily: "inherit" },
      grid: { left: gutter + 18, right: many ? 34 : 16, top: 8, bottom: 52 },
      tooltip: { trigger: "item", confine: true, renderMode: "html", backgroundColor: color("raised"), borderColor: color("line-strong"), padding: [5, 9],
        textStyle: { color: color("text"), fontSize: 12.5 }, formatter: (params) => (params.seriesIndex === 0 ? tooltip(view, store, params.value[3]) : "") },
      xAxis: { type: "value", min: view.from, max: view.to > view.from ? view.to : view.from + 1, axisLabel: { color: color("chart-axis"), formatter: (value) => format.duration(value), hideOverlap: true, showMinLabel: false, showMaxLabel: false },
        splitLine: { lineStyle: { color: color("chart-grid") } }, axisLine: { lineStyle: { color: color("line") } } },
      yAxis: { type: "category", inverse: true, data: lanes, axisTick: { show: false }, axisLine: { show: false },
        axisLabel: { color: color("chart-axis"), interval: 0, formatter: shorten, width: gutter, overflow: "truncate" }, splitLine: { show: true, interval: (i, text) => Boolean(text), lineStyle: { color: color("chart-grid") } } },
      dataZoom: zoom,
      series: [
        { type: "custom", renderItem: draw.bar, dimensions: ["began", "until", "lane", "place"], encode: { x: [0, 1], y: 2 }, progressive: 0,
          data: Array.from({ length: view.n }, (_, i) => [view.bars.began[i], view.until[i], view.bars.lane[i], i]) },
        { type: "custom", renderItem: draw.link, silent: true, dimensions: ["from", "to"], encode: { x: -1, y: -1, tooltip: [] }, data: view.links, z: 3, clip: true },
      ],
    };
  }

  function moves(context, view) {
    const { store } = context, { bars } = view;
    const from = new Map(view.links.map(([before, i]) => [i, before]));
    const found = [];
    for (let i = 0; i < view.n; i++) if (bars.kind[i] === PROMOTED_ELSEWHERE || bars.kind[i] === TAKEN_OVER) found.push(i);
    if (!found.length) return AIO.empty("No trial has changed its worker in this time", "A trial moves when a worker dies, leaves, or when another one is free first to promote it.");
    found.sort((a, b) => bars.began[b] - bars.began[a]);
    const name = (i) => (i === undefined ? "–" : h("span", { class: "mono" }, store.names[bars.worker[i]]));
    return AIO.table("Trials that changed their worker", ["When", "Trial", "What", "From", "To"], found.slice(0, MOST_MOVES).map((i) => [
      format.moment(store.base + bars.began[i]), h("a", { href: context.link("trial", store.id(bars.row[i])) }, store.title(bars.row[i])),
      KINDS[bars.kind[i]], name(from.get(i)), name(i)]));
  }

  AIO.views.timeline = {
    title: "Timeline",
    mount(host, context) {
      const { store } = context;
      let view = null, chart = null, span = Infinity, end = null, removed = false, pending = null;
      const box = h("div", null, h("p", { class: "loading" }, "Reading …")), table = h("div"), lead = h("p", { class: "muted" });
      const earlier = h("button", { type: "button", onclick: () => move(-0.5) }, "← Earlier");
      const later = h("button", { type: "button", onclick: () => move(0.5) }, "Later →");

      function move(share) {
        const length = Number.isFinite(span) ? span : view.to - view.from;
        if (!Number.isFinite(span)) span = length;
        end = Math.max(view.first + length, (end ?? view.to) + share * length);
        if (end >= view.last) end = null; // at the end it follows the search again
        query.restart();
      }

      function path() {
        const wanted = new URLSearchParams();
        const last = end ?? store.now() - store.base;
        if (Number.isFinite(span) || end !== null) {
          wanted.set("from", String(Math.max(0, last - span)));
          wanted.set("to", String(last));
        }
        const text = wanted.toString();
        return `runs/${encodeURIComponent(context.run)}/timeline${text ? `?${text}` : ""}`;
      }

      async function show(answer) {
        const fresh = understand(answer, store);
        const whole = !view || view.from !== fresh.from || (fresh.lanes.length !== view.lanes.length);
        view = fresh;
        if (!view.total) {
          fill(box, AIO.empty("Nothing has run yet", "A bar begins here as soon as a worker takes a trial."));
          fill(table, moves(context, view));
          return;
        }
        if (!chart && !pending) {
          pending = AIO.charts.echart("Timeline", heightOf(view), (instance) => {
            instance.setOption(options(view, store, instance.getWidth()));
            instance.on("click", (event) => { if (event.seriesIndex === 0) context.go("trial", store.id(view.bars.row[event.value[3]])); });
          });
          try {
            chart = await pending;
          } catch (error) {
            pending = null;
            fill(box, AIO.empty("The timeline cannot be drawn", "", error.message));
            return;
          }
          if (removed) { chart.remove(); return; }
          fill(box, chart.node, legend());
        } else if (chart && chart.instance) {
          chart.host.style.height = `${heightOf(view)}px`;
          const fresh_options = options(view, store, chart.instance.getWidth());
          if (!whole) delete fresh_options.dataZoom; // leave the person's zoom as it is
          chart.instance.setOption(fresh_options, { replaceMerge: [] });
        }
        if (!chart) return;
        chart.host.style.height = `${heightOf(view)}px`;
        fill(table, moves(context, view));
        const count = (kind) => view.bars.kind.reduce((sum, each) => sum + (each === kind), 0);
        chart.tell(`${format.count(view.n)} of ${format.plural(view.total, "segment")} in ${format.plural(view.lanes.reduce((n, each) => n + each.lanes, 0), "lane")}: ${
          format.plural(count(PROMOTED) + count(PROMOTED_ELSEWHERE), "promotion")}, ${format.count(count(PROMOTED_ELSEWHERE))} of them by another worker; ${format.plural(count(TAKEN_OVER), "takeover")}.`);
        AIO.setText(lead, `${format.moment(store.base + view.from)} to ${format.moment(store.base + view.to)}`);
        later.disabled = end === null;
        earlier.disabled = view.from <= view.first;
      }

      const heightOf = (each) => Math.min(MOST_LANES, Math.max(4, each.lanes.reduce((n, lane) => n + lane.lanes, 0))) * LANE + 64;
      const legend = () => h("div", { class: "legend" }, ["finished", "paused", "stopped", "failed", "released", "open"].map((how) =>
        h("span", { class: "key" }, h("i", { style: { background: `var(--${COLORS[how]})` } }), WORDS[how])),
      h("span", { class: "key" }, "▸ promoted"), h("span", { class: "key" }, "◆ taken over"));

      const query = AIO.refreshed(path, show, (message) => { if (!view) fill(box, AIO.empty("The timeline could not be read", "", message)); }, 1000);
      const tools = h("div", { class: "view-tools" }, AIO.source.embedded ? null : [earlier, later,
        AIO.choice("How much", WINDOWS.map(([value, text]) => [value, text]), "all", (value) => {
          span = WINDOWS.find((each) => each[0] === value)[2];
          end = null;
          query.restart();
        })]);
      fill(host, h("div", { class: "view-head" }, h("h1", null, "Timeline"), lead, tools), h("div", { class: "stack" }, h("div", { class: "card" }, box),
        AIO.section("Trials that changed their worker", null, table)));
      return {
        update(changed) { if ((changed.trials || changed.summary) && end === null) query.request(); },
        remove() { removed = true; query.stop(); if (chart) chart.remove(); },
      };
    },
  };
})();
