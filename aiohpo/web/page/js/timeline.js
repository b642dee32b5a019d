/* The picture of the timeline: what the server's bars mean, and how ECharts draws them.

   KINDS, COLORS and WORDS say what a bar's kind and ending are called and which colour an ending has. */
"use strict";
(function () {
  const { h, format } = AIO;
  const { decode } = AIO.columns;
  const LANE = 20; // pixels
  const MOST_LANES = 32; // seen at a time
  const [NEW, PROMOTED, PROMOTED_ELSEWHERE, TAKEN_OVER] = [0, 1, 2, 3];
  const KINDS = {
    [NEW]: "new trial",
    [PROMOTED]: "promoted, same worker",
    [PROMOTED_ELSEWHERE]: "promoted, another worker",
    [TAKEN_OVER]: "taken over",
  };
  const COLORS = {
    finished: "finished",
    stopped: "stopped",
    failed: "failed",
    paused: "paused",
    released: "lost",
    cancelled: "queued",
    open: "running",
  };
  const WORDS = {
    finished: "finished",
    stopped: "stopped early",
    failed: "failed",
    paused: "paused at a rung",
    released: "released",
    cancelled: "cancelled",
    open: "running, or never ended",
  };
  /* The server's answer as arrays, with the bars that moved to another worker linked to where they came from. */
  function understand(answer, store) {
    const bars = {};
    for (const [name, column] of Object.entries(answer.bars)) bars[name] = decode(column);
    const n = bars.row.length,
      latest = new Map(),
      links = [];
    const order = AIO.columns.sorted(
      Uint32Array.from({ length: n }, (_, i) => i),
      (i) => bars.began[i],
    );
    const until = new Float64Array(n);
    const running = new Set();
    for (const i of order) {
      until[i] = bars.began[i] + bars.seconds[i]; // of one that never ended: for as long as it is to be drawn
      if (store.study.endings[bars.how[i]] === "open") running.add(i);
      const before = latest.get(bars.row[i]);
      if (before !== undefined && (bars.kind[i] === PROMOTED_ELSEWHERE || bars.kind[i] === TAKEN_OVER)) {
        links.push([before, i]);
        // Nobody said when the segment of a lost worker ended, but by now another one had its trial.
        if (running.delete(before)) until[before] = Math.max(bars.began[before], bars.began[i]);
      }
      latest.set(bars.row[i], i);
    }
    const to = running.size ? answer.to : until.reduce((last, each) => Math.max(last, each), answer.from);
    return { ...answer, to, bars, until, links, n };
  }

  /* One text for each lane: the worker's name at its first. */
  function laneTexts(view, store) {
    const texts = [];
    for (const lane of view.lanes) {
      const suffix = lane.status === "alive" ? "" : ` (${lane.status})`;
      for (let i = 0; i < lane.lanes; i++)
        texts[lane.top + i] = i ? "" : `${AIO.format.value(store.names[lane.worker] ?? "–")}${suffix}`;
    }
    for (let i = 0; i < texts.length; i++) texts[i] = texts[i] || "";
    return texts.length ? texts : [""];
  }

  const shorten = (text) => (text.length > 20 ? `${text.slice(0, 9)}…${text.slice(-10)}` : text);

  function rendered(view, store) {
    const color = AIO.theme.color,
      endings = store.study.endings;
    return {
      bar(params, api) {
        const i = api.value(3),
          lane = api.value(2);
        const [x, y] = api.coord([api.value(0), lane]),
          [end] = api.coord([api.value(1), lane]);
        const height = Math.min(api.size([0, 1])[1] * 0.72, 14);
        const shape = window.echarts.graphic.clipRectByRect(
          { x, y: y - height / 2, width: Math.max(end - x, 1.5), height },
          params.coordSys,
        );
        if (!shape) return null;
        const bar = {
          type: "rect",
          shape: { ...shape, r: shape.width > 6 ? 2 : 0 },
          style: { fill: color(COLORS[endings[view.bars.how[i]]] || "queued") },
        };
        const kind = view.bars.kind[i];
        if (kind !== NEW && shape.width > 4 && x >= params.coordSys.x) {
          const size = Math.min(height * 0.75, 8),
            left = shape.x + 1.5;
          const points =
            kind === TAKEN_OVER
              ? [
                  [left, y],
                  [left + size / 2, y - size / 2],
                  [left + size, y],
                  [left + size / 2, y + size / 2],
                ]
              : [
                  [left, y - size / 2],
                  [left + size, y],
                  [left, y + size / 2],
                ];
          return {
            type: "group",
            children: [bar, { type: "polygon", shape: { points }, style: { fill: color("surface") } }],
          };
        }
        return bar;
      },
      link(params, api) {
        const from = api.value(0),
          to = api.value(1);
        const a = api.coord([view.until[from], view.bars.lane[from]]),
          b = api.coord([view.bars.began[to], view.bars.lane[to]]);
        const area = params.coordSys;
        if (a[0] > area.x + area.width || b[0] < area.x) return null;
        const middle = (a[0] + b[0]) / 2;
        const over = view.bars.kind[to] === TAKEN_OVER;
        return {
          type: "bezierCurve",
          silent: true,
          shape: { x1: a[0], y1: a[1], cpx1: middle, cpy1: a[1], cpx2: middle, cpy2: b[1], x2: b[0], y2: b[1] },
          style: {
            stroke: color(over ? "takeover" : "muted"),
            lineWidth: over ? 1.6 : 0.8,
            fill: "none",
            opacity: over ? 0.9 : 0.4,
            lineDash: over ? "solid" : [3, 3],
          },
        };
      },
    };
  }

  function tooltip(view, store, i) {
    const { bars } = view;
    const lines = [
      h("strong", null, `Trial ${store.title(bars.row[i])}`),
      ` · ${WORDS[store.study.endings[bars.how[i]]] || ""}`,
      h("br"),
      `worker ${store.names[bars.worker[i]]}`,
      h("br"),
      `from ${format.duration(bars.began[i])} for ${format.duration(view.until[i] - bars.began[i])}`,
    ];
    if (bars.to_step[i]) lines.push(h("br"), `to step ${format.count(bars.to_step[i])}`);
    if (bars.kind[i] !== NEW)
      lines.push(h("br"), KINDS[bars.kind[i]], bars.attempt[i] ? ` (attempt ${bars.attempt[i] + 1})` : "");
    return h("div", null, lines); // a node, so that nothing in it is read as HTML
  }

  function options(view, store, width) {
    const color = AIO.theme.color,
      draw = rendered(view, store),
      lanes = laneTexts(view, store);
    const many = lanes.length > MOST_LANES,
      gutter = Math.round(Math.min(150, 0.25 * width));
    const zoom = [
      { type: "inside", xAxisIndex: 0, filterMode: "none", minValueSpan: 0.05 },
      {
        type: "slider",
        xAxisIndex: 0,
        filterMode: "none",
        height: 16,
        bottom: 8,
        showDetail: false,
        brushSelect: false,
        borderColor: color("line"),
        fillerColor: color("accent-soft"),
        handleStyle: { color: color("surface"), borderColor: color("line-strong") },
        dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } },
      },
    ];
    if (many) {
      zoom.push({
        type: "slider",
        yAxisIndex: 0,
        filterMode: "none",
        width: 14,
        right: 4,
        startValue: 0,
        endValue: MOST_LANES - 1,
        showDetail: false,
        brushSelect: false,
        borderColor: color("line"),
        fillerColor: color("accent-soft"),
      });
    }
    return {
      animation: false,
      textStyle: { fontFamily: "inherit" },
      grid: { left: gutter + 18, right: many ? 34 : 16, top: 8, bottom: 52 },
      tooltip: {
        trigger: "item",
        confine: true,
        renderMode: "html",
        backgroundColor: color("raised"),
        borderColor: color("line-strong"),
        padding: [5, 9],
        textStyle: { color: color("text"), fontSize: 12.5 },
        formatter: (params) => (params.seriesIndex === 0 ? tooltip(view, store, params.value[3]) : ""),
      },
      xAxis: {
        type: "value",
        min: view.from,
        max: view.to > view.from ? view.to : view.from + 1,
        axisLabel: {
          color: color("chart-axis"),
          formatter: (value) => format.duration(value),
          hideOverlap: true,
          showMinLabel: false,
          showMaxLabel: false,
        },
        splitLine: { lineStyle: { color: color("chart-grid") } },
        axisLine: { lineStyle: { color: color("line") } },
      },
      yAxis: {
        type: "category",
        inverse: true,
        data: lanes,
        axisTick: { show: false },
        axisLine: { show: false },
        axisLabel: { color: color("chart-axis"), interval: 0, formatter: shorten, width: gutter, overflow: "truncate" },
        splitLine: { show: true, interval: (i, text) => Boolean(text), lineStyle: { color: color("chart-grid") } },
      },
      dataZoom: zoom,
      series: [
        {
          type: "custom",
          renderItem: draw.bar,
          dimensions: ["began", "until", "lane", "place"],
          encode: { x: [0, 1], y: 2 },
          progressive: 0,
          data: Array.from({ length: view.n }, (_, i) => [view.bars.began[i], view.until[i], view.bars.lane[i], i]),
        },
        {
          type: "custom",
          renderItem: draw.link,
          silent: true,
          dimensions: ["from", "to"],
          encode: { x: -1, y: -1, tooltip: [] },
          data: view.links,
          z: 3,
          clip: true,
        },
      ],
    };
  }

  /* How high the picture of a view is, in pixels. */
  const heightOf = (view) =>
    Math.min(
      MOST_LANES,
      Math.max(
        4,
        view.lanes.reduce((n, lane) => n + lane.lanes, 0),
      ),
    ) *
      LANE +
    64;

  AIO.timeline = {
    kinds: { NEW, PROMOTED, PROMOTED_ELSEWHERE, TAKEN_OVER },
    KINDS,
    COLORS,
    WORDS,
    understand,
    options,
    heightOf,
  };
})();
