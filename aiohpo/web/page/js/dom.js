/* Elements, without HTML text: everything that strangers wrote reaches the page as a text node or an attribute value.

   h("p", {class: "note"}, "text", h("b", "bold"))   one element with its attributes and children
   fill(element, ...children)                        replaces what an element contains
   setText(element, text)                            writes only if it changed, so that selections survive updates
   prose("with `code` and **bold**")                 our own texts with two marks, as nodes */
"use strict";
var AIO = { views: {} }; // the one global name; a view is AIO.views.NAME = {title, badge?, mount(host, context)}

(function () {
  // Attributes that would run code or load something if a stranger chose their value are not in this list.
  const ATTRIBUTES = new Set([
    "class",
    "id",
    "href",
    "type",
    "value",
    "name",
    "for",
    "title",
    "role",
    "tabindex",
    "scope",
    "placeholder",
    "hidden",
    "disabled",
    "checked",
    "selected",
    "open",
    "colspan",
    "width",
    "height",
    "min",
    "max",
    "step",
    "datetime",
    "lang",
    "autocomplete",
    "spellcheck",
    "download",
    "inputmode",
    "multiple",
    "size",
  ]);

  function append(element, children) {
    for (const child of children) {
      if (child === null || child === undefined || child === false) continue;
      if (Array.isArray(child)) append(element, child);
      else element.append(child instanceof Node ? child : String(child));
    }
    return element;
  }

  function setAttribute(element, name, value) {
    if (value === null || value === undefined || value === false) return;
    if (name.startsWith("on")) {
      if (typeof value !== "function") throw new TypeError(`${name} must be a function`);
      element.addEventListener(name.slice(2), value);
    } else if (name === "style") {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else if (name === "href" && !/^(#|\?|[a-z]+\/|\.\/)/i.test(value)) {
      throw new TypeError("links lead only within the page");
    } else if (ATTRIBUTES.has(name) || name.startsWith("aria-") || name.startsWith("data-")) {
      element.setAttribute(name, value === true ? "" : String(value));
    } else {
      throw new TypeError(`${name} is no attribute that this page uses`);
    }
  }

  /* Make an element. The attributes may be left out. */
  AIO.h = function (tag, attributes, ...children) {
    const element = document.createElement(tag);
    const plain =
      attributes !== null &&
      typeof attributes === "object" &&
      !Array.isArray(attributes) &&
      !(attributes instanceof Node);
    if (plain) for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
    else children.unshift(attributes);
    return append(element, children);
  };

  AIO.fill = function (element, ...children) {
    element.replaceChildren();
    return append(element, children);
  };

  AIO.setText = function (element, text) {
    const wanted = String(text);
    if (element.textContent !== wanted) element.textContent = wanted;
  };

  /* An SVG element, for the few icons and bars that are drawn by hand. */
  AIO.svg = function (tag, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, String(value));
    return append(element, children);
  };

  /* Our own prose: `code` and **bold** become elements. Never called with anything but constants of this page. */
  AIO.prose = function (text) {
    return text
      .split(/(`[^`]+`|\*\*[^*]+\*\*)/)
      .map((part) =>
        part.startsWith("`")
          ? AIO.h("code", null, part.slice(1, -1))
          : part.startsWith("**")
            ? AIO.h("strong", null, part.slice(2, -2))
            : part,
      );
  };

  /* What stands where there is nothing to show: what is missing, what to do, and what the server says (as it is). */
  AIO.empty = function (what, remedy, detail) {
    return AIO.h(
      "div",
      { class: "empty" },
      AIO.h("p", { class: "empty-what" }, what),
      remedy && AIO.h("p", null, AIO.prose(remedy)),
      detail && AIO.h("p", null, detail),
    );
  };

  /* A section with a heading; ``aside`` stands at the right of it. */
  AIO.section = function (title, aside, ...children) {
    return AIO.h(
      "section",
      { class: "card" },
      AIO.h(
        "div",
        { class: "card-head" },
        AIO.h("h2", null, title),
        aside && AIO.h("div", { class: "card-aside" }, aside),
      ),
      ...children,
    );
  };

  /* A table from arrays; a cell is text, a node, or {text, class}. ``numeric``: the columns aligned to the right. */
  AIO.table = function (caption, heads, rows, numeric = []) {
    const right = new Set(numeric);
    const cell = (tag, content, i) => {
      const node = AIO.h(tag, { class: right.has(i) ? "num" : null, scope: tag === "th" ? "col" : null });
      return append(node, [content]);
    };
    return AIO.h(
      "div",
      { class: "table-scroll", tabindex: "0", role: "region", "aria-label": caption },
      AIO.h(
        "table",
        null,
        AIO.h("caption", { class: "sr" }, caption),
        AIO.h(
          "thead",
          null,
          AIO.h(
            "tr",
            null,
            heads.map((head, i) => cell("th", head, i)),
          ),
        ),
        AIO.h(
          "tbody",
          null,
          rows.map((row) =>
            AIO.h(
              "tr",
              null,
              row.map((content, i) => cell("td", content, i)),
            ),
          ),
        ),
      ),
    );
  };

  /* A choice between a few ways to show something, as radio buttons that look like one control. */
  let choices = 0;
  AIO.choice = function (label, options, chosen, onchange) {
    const name = `choice-${choices++}`;
    return AIO.h(
      "fieldset",
      { class: "choice" },
      AIO.h("legend", { class: "sr" }, label),
      options.map(([value, text]) =>
        AIO.h(
          "label",
          null,
          AIO.h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }),
          AIO.h("span", null, text),
        ),
      ),
    );
  };

  // The two axes that several views let people choose.
  AIO.timeOrTrials = function (chosen, onchange) {
    return AIO.choice(
      "Horizontal axis",
      [
        ["time", "Time"],
        ["trials", "Trials"],
      ],
      chosen,
      onchange,
    );
  };

  AIO.linearOrLog = function (onchange) {
    return AIO.choice(
      "Vertical axis",
      [
        ["linear", "Linear"],
        ["log", "Log"],
      ],
      "linear",
      onchange,
    );
  };
})();
