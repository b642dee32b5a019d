/* Charts: uPlot in the colours of the page, and ECharts, which is loaded when the first view needs it.

   Each chart is a figure with a summary in words, which changes with the data: it is what a screen reader reads. */
"use strict";
(function () {
  const { h, setText } = AIO;
  const color = AIO.theme.color;
  const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif";

  /* A figure: the place for a chart, and its summary. ``label`` names it. */
  function figure(label, height, className = "chart-canvas") {
    const host = h("div", {
      class: className,
      role: "img",
      "aria-label": label,
      style: { "min-height": `${height}px` },
    });
    const summary = h("figcaption", { class: "chart-summary" });
    return {
      host,
      summary,
      node: h("figure", { class: "chart" }, host, summary),
      tell(text) {
        setText(summary, text);
        host.setAttribute("aria-label", `${label}. ${text}`);
      },
    };
  }

  const numbers = (values) => {
    const range = Math.abs(values[values.length - 1] - values[0]);
    return values.map((value) =>
      value === null ? "" : AIO.format.number(Number(value.toPrecision(12)), range < 1e-3 * Math.abs(value) ? 8 : 5),
    );
  };
  const powers = (values) => values.map((value) => (value === null ? "" : AIO.format.number(value, 3)));
  const isPower = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

  /* Of the places on a logarithmic axis those that get a label: powers of ten, or 1, 2, 5, as there is room. */
  function labelled(splits, room) {
    if (splits.length <= Math.min(6, room)) return splits;
    const powers = splits.filter(isPower).length;
    const round = powers > 2 ? isPower : (at) => [1, 2, 5].some((k) => isPower(at / k)); // over less than two decades
    const every = Math.max(1, Math.ceil(splits.filter(round).length / room));
    let seen = 0;
    return splits.map((at) => (round(at) && seen++ % every === 0 ? at : null));
  }

  /* Distances of labels on an axis of seconds that are also round in minutes, hours and days: no 1.66667 min. */
  const DURATIONS = [
    ...[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 30],
    ...[1, 2, 5, 15, 30].map((minutes) => 60 * minutes),
    ...[1, 2, 6, 12].map((hours) => 3600 * hours),
    ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((days) => 86400 * days),
  ];

  function axis(spec, side) {
    const labels =
      spec.kind === "duration"
        ? (u, values) => AIO.format.durationTicks(values)
        : spec.log
          ? (u, values) => powers(values)
          : (u, values) => numbers(values);
    return {
      label: spec.label || undefined,
      labelSize: spec.label ? 18 : 0,
      labelFont: FONT,
      labelGap: side === "x" ? 2 : 0,
      font: FONT,
      stroke: () => color("chart-axis"),
      values: labels,
      space: side === "x" ? 70 : 34,
      ...(spec.kind === "duration" ? { incrs: DURATIONS } : {}),
      size:
        side === "x"
          ? 30
          : (u, values, i, cycle) => {
              if (cycle > 1) return u.axes[i]._size;
              const longest = Math.max(3, ...(values || []).map((text) => String(text).length));
              return Math.min(20 + longest * 7, 110);
            },
      grid: {
        stroke: () => color("chart-grid"),
        width: 1,
        ...(spec.log ? { filter: (u, splits) => splits.map((at) => (isPower(at) ? at : null)) } : {}),
      },
      ticks: { stroke: () => color("chart-grid"), width: 1, size: 4 },
      splits:
        spec.splits ||
        (spec.log
          ? (u, i, low, high) => decades(low, high)
          : spec.whole
            ? (u, i, low, high) => whole(low, high)
            : undefined),
      filter: spec.log ? (u, splits) => labelled(splits, side === "x" ? u.width / 60 : u.height / 24) : undefined,
    };
  }

  /* 1, 2, …, 9, 10, 20, … between two positive numbers. uPlot's own places are not round where the lower end is not. */
  function decades(low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (let k = 1; k < 10; k++) {
        const at = Number(`${k}e${power}`);
        if (at >= low && at <= high) found.push(at);
      }
    }
    return found;
  }

  /* Whole numbers at a round distance. */
  function whole(low, high) {
    const distance = Math.max(1, 10 ** Math.floor(Math.log10((high - low) / 4 || 1)));
    const step =
      [1, 2, 5, 10].map((k) => Math.max(1, k * distance)).find((each) => (high - low) / each <= 8) || distance * 10;
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
    return found;
  }

  const kinds = {
    line: () => ({ paths: uPlot.paths.linear(), points: { show: false } }),
    step: () => ({ paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }),
    points: () => ({ paths: () => null }),
    none: () => ({ paths: () => null, points: { show: false } }), // only spans the axes; the chart paints by itself
    bars: () => ({ paths: uPlot.paths.bars({ size: [1, Infinity], gap: 0 }), points: { show: false } }),
  };

  function seriesOf(spec, number) {
    const stroke = () => color(spec.color || `s${number}`);
    const base = {
      label: spec.label,
      stroke,
      width: spec.width || 2,
      spanGaps: spec.gaps !== true,
      value: (u, value) => (value === null || value === undefined ? "–" : (spec.format || AIO.format.number)(value)),
      ...kinds[spec.type || "line"](),
    };
    if (spec.type === "points") {
      base.points = { show: true, size: spec.size || 4, width: 0, fill: stroke, stroke };
      base.width = 0;
    }
    if (spec.fill) base.fill = () => color(spec.fill);
    if (spec.scale) base.scale = spec.scale;
    return base;
  }

  /* A chart of uPlot.

     spec: {label, height, x: {label, kind, log, whole}, y: {label, log, range}, series: [{label, type, color, …}],
            legend, paint(u), hover(u, left, top)}; ``y.range()`` gives [low, high] or null.
     Returns {node, set(data), tell(text), redraw(), plot, remove()}. */
  function chart(spec) {
    const frame = figure(spec.label, spec.height);
    let plot = null,
      data = null,
      width = 0;

    function options() {
      return {
        width,
        height: spec.height,
        padding: [8, 18, 0, 0],
        pxAlign: false,
        legend: {
          show: spec.legend !== false,
          live: true,
          markers: { width: 0, fill: (u, i) => color(spec.series[i - 1].color || `s${i}`) },
        },
        cursor: {
          y: false,
          points: { size: 7 },
          drag: { x: true, y: false, setScale: true },
          bind: spec.click
            ? {
                click: (u) => () => {
                  spec.click(u);
                },
              }
            : undefined,
        },
        scales: {
          x: { time: false, distr: spec.x.log ? 3 : 1, range: spec.x.range },
          y: {
            distr: spec.y.log && spec.y.log() ? 3 : 1,
            range: (u, low, high) => {
              const wanted = spec.y.range && spec.y.range();
              if (wanted) return wanted;
              if (low === null || low === undefined) return [0, 1];
              return spec.y.log && spec.y.log()
                ? uPlot.rangeLog(low, high, 10, false)
                : uPlot.rangeNum(low, high, 0.08, true);
            },
          },
        },
        axes: [axis(spec.x, "x"), { ...axis({ ...spec.y, log: Boolean(spec.y.log && spec.y.log()) }, "y") }],
        series: [
          {
            label: spec.x.short || spec.x.label,
            value: (u, value) =>
              value === null || value === undefined
                ? "–"
                : spec.x.kind === "duration"
                  ? AIO.format.duration(value)
                  : AIO.format.number(value),
          },
          ...spec.series.map((each, i) => seriesOf(each, i + 1)),
        ],
        hooks: {
          draw: spec.paint ? [spec.paint] : [],
          setCursor: spec.hover ? [spec.hover] : [],
        },
      };
    }

    function build() {
      if (plot) plot.destroy();
      plot = null;
      if (!data || width < 40) return;
      plot = new uPlot(options(), data, frame.host);
    }

    const observer = new ResizeObserver((entries) => {
      const wide = Math.floor(entries[0].contentRect.width);
      if (wide === width || wide < 40) return;
      width = wide;
      if (plot) plot.setSize({ width, height: spec.height });
      else build();
    });
    observer.observe(frame.host);
    const unwatch = AIO.theme.onchange(build);

    return {
      node: frame.node,
      tell: frame.tell,
      host: frame.host,
      get plot() {
        return plot;
      },
      get width() {
        return width;
      },
      set(fresh) {
        const zoomed =
          plot && data && (plot.scales.x.min > data[0][0] || plot.scales.x.max < data[0][data[0].length - 1]);
        data = fresh;
        if (plot) plot.setData(data, !zoomed);
        else build();
      },
      rebuild: build,
      redraw() {
        if (plot) plot.redraw(false);
      },
      remove() {
        unwatch();
        observer.disconnect();
        if (plot) plot.destroy();
        plot = null;
      },
    };
  }

  let loading = null;

  /* ECharts, once it is there. */
  function echarts() {
    if (window.echarts) return Promise.resolve(window.echarts);
    if (loading) return loading;
    const late = document.getElementById("late");
    const address = late && late.content.querySelector("script").getAttribute("src");
    loading = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = () => resolve(window.echarts);
      script.onerror = () => {
        loading = null;
        reject(new Error("The chart library could not be loaded."));
      };
      document.head.append(script);
    });
    return loading;
  }

  /* A chart of ECharts in a figure, whose options ``options()`` makes anew for each theme. */
  async function echart(label, height, prepare) {
    const library = await echarts();
    const frame = figure(label, height, "echart");
    let instance = null;

    function start() {
      if (instance) instance.dispose();
      instance = library.init(frame.host, null, { renderer: "canvas", height: frame.host.clientHeight || height });
      prepare(instance);
    }

    const observer = new ResizeObserver(() => {
      if (frame.host.clientWidth < 40) return;
      if (instance) instance.resize({ width: frame.host.clientWidth, height: frame.host.clientHeight });
      else start();
    });
    observer.observe(frame.host);
    const unwatch = AIO.theme.onchange(start);
    return {
      node: frame.node,
      tell: frame.tell,
      host: frame.host,
      get instance() {
        return instance;
      },
      remove() {
        unwatch();
        observer.disconnect();
        if (instance) instance.dispose();
      },
    };
  }

  AIO.charts = { chart, echart, FONT };
})();
