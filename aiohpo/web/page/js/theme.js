/* Light and dark, and the colours of charts, which are read from the style sheet so that they stand once.

   Follows the system until the person chooses; the choice is kept for this browser. Runs before the body is there, so
   that a dark page does not begin with a white flash. */
"use strict";
(function () {
  const KEY = "aiohpo-theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const listeners = new Set();
  let cache = {};

  function stored() {
    try {
      return window.localStorage.getItem(KEY);
    } catch {
      return null;
    } // a file:// page may have no storage
  }

  function store(theme) {
    try {
      window.localStorage.setItem(KEY, theme);
    } catch {
      /* the choice then lasts as long as the page */
    }
  }

  let chosen = stored();

  const current = () => (chosen === "dark" || chosen === "light" ? chosen : system.matches ? "dark" : "light");

  function apply() {
    document.documentElement.dataset.theme = current();
    cache = {};
    listeners.forEach((listener) => listener());
  }

  /* The value of a colour of the style sheet, such as color("accent"). */
  function color(name) {
    if (!(name in cache)) cache[name] = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    return cache[name];
  }

  /* The colour of ``share`` in [0, 1] of a sequential scale (viridis or its dark-background half), best last. */
  function scale(share) {
    const stops = color("scale").split(/\s+/);
    const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
    const low = Math.floor(at),
      high = Math.min(low + 1, stops.length - 1),
      part = at - low;
    const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    return `rgb(${[0, 1, 2]
      .map((i) => Math.round(channel(stops[low], i) * (1 - part) + channel(stops[high], i) * part))
      .join(",")})`;
  }

  system.addEventListener("change", apply);
  document.documentElement.dataset.theme = current();

  AIO.theme = {
    current,
    color,
    scale,
    calm: () => window.matchMedia("(prefers-reduced-motion: reduce)").matches,
    toggle() {
      chosen = current() === "dark" ? "light" : "dark";
      store(chosen);
      apply();
    },
    onchange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
})();
