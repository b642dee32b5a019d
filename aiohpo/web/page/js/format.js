/* Numbers, times and configurations as people read them. */
"use strict";
(function () {
  const MINUS = "−";
  const signed = (text) => text.replace(/-/g, MINUS);

  /* A number in at most ``digits`` significant digits: 0.91235, 1.3e−5, 12,480. */
  function number(value, digits = 5) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e9) return signed(value.toLocaleString("en-US"));
    if (size < 1e-4 || size >= 1e9) {
      const [mantissa, power] = value.toExponential(Math.max(digits - 2, 1)).split("e");
      return signed(`${String(Number(mantissa))}e${Number(power)}`);
    }
    const text = String(Number(value.toPrecision(digits)));
    return size >= 10000 ? signed(Number(text).toLocaleString("en-US")) : signed(text);
  }

  const count = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-US"));

  const percent = (share) =>
    share === null || share === undefined || Number.isNaN(share) ? "–" : `${Math.round(100 * share)} %`;

  /* A length of time: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
  function duration(seconds) {
    if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
    if (seconds <= 0) return "0 s";
    if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 1440) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
    const hours = Math.round(seconds / 3600);
    return `${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ""}`;
  }

  /* The labels of an axis of seconds, all in one unit that suits its range. */
  function durationTicks(seconds) {
    const top = Math.max(...seconds.map(Math.abs));
    const [unit, size] =
      top >= 2 * 86400 ? ["d", 86400] : top >= 2 * 3600 ? ["h", 3600] : top >= 120 ? ["min", 60] : ["s", 1];
    return seconds.map((each) => `${Number((each / size).toPrecision(6))} ${unit}`);
  }

  const pad = (n) => String(n).padStart(2, "0");

  /* A moment by this browser's clock: 14:05:09 today, 2026-03-02 14:05:09 on another day. */
  function moment(epoch) {
    if (epoch === null || epoch === undefined || !Number.isFinite(epoch) || epoch <= 0) return "–";
    const date = new Date(epoch * 1000);
    const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
    const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
    return date.toDateString() === new Date().toDateString() ? clock : `${day} ${clock}`;
  }

  function bytes(n) {
    if (n === null || n === undefined) return "–";
    const units = ["B", "kB", "MB", "GB", "TB"];
    let i = 0;
    while (n >= 1000 && i < units.length - 1) {
      n /= 1000;
      i++;
    }
    return `${i ? n.toPrecision(3) : n} ${units[i]}`;
  }

  /* A value of a parameter: a number as such, everything else as it would stand in JSON, a text without quotes. */
  function value(any, digits = 5) {
    if (typeof any === "number") return number(any, digits);
    if (typeof any === "string") return any;
    if (any === undefined) return "–";
    return JSON.stringify(any);
  }

  const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || `${one}s`}`;

  AIO.format = { number, count, percent, duration, durationTicks, moment, bytes, value, plural };
})();
