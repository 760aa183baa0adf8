// Small builders for the dashboard. Everything shown is set as text, never parsed as markup.
"use strict";

window.ops = (() => {
  const make = (tag, text = "", className = "") => {
    const node = document.createElement(tag);
    if (text !== "") node.textContent = text;
    if (className) node.className = className;
    return node;
  };

  // Decimal strings keep their digits; only the whole part is grouped.
  const money = (text) => {
    if (text === null || text === undefined) return "–";
    const [whole, fraction] = String(text).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return fraction === undefined ? grouped : `${grouped}.${fraction}`;
  };

  // Two decimals, cut off: enough to look at, and never more than there is.
  const cents = (text) =>
    text === null || text === undefined ? "–" : money(String(text).replace(/(\.\d\d)\d+$/, "$1"));

  const short = (text) => {
    if (text === null || text === undefined) return "–";
    const value = Number(text);
    const units = [[1e12, "T"], [1e9, "bn"], [1e6, "m"], [1e3, "k"]];
    for (const [size, unit] of units) {
      if (Math.abs(value) >= size) return `${(value / size).toFixed(2)} ${unit}`;
    }
    return String(Math.round(value * 100) / 100);
  };

  const percent = (fraction, digits = 1) =>
    fraction === null || fraction === undefined
      ? "–"
      : `${(Number(fraction) * 100).toFixed(digits)} %`;

  const number = (value, unit = "") =>
    value === null || value === undefined ? "–" : `${money(String(value))}${unit}`;

  const utc = (ms) => new Date(ms).toISOString().replace("T", " ").slice(0, 19);

  const words = (text) => String(text).replaceAll("_", " ");

  const badge = (text, tone) => make("span", words(text), `ops-badge ${tone}-back`);

  const meter = (fraction, tone) => {
    const box = make("span", "", `ops-meter ${tone}`);
    const bar = make("i");
    bar.style.width = `${Math.max(0, Math.min(1, fraction)) * 100}%`;
    box.append(bar);
    return box;
  };

  const cell = (content, className = "") => {
    const node = make("td", "", className);
    for (const part of [content].flat()) node.append(part === null ? "–" : part);
    return node;
  };

  // columns: [title, row => content, class]
  const table = (id, columns, rows, nothing) => {
    const target = document.getElementById(id);
    if (!target || !rows) return;
    const head = make("tr");
    for (const [title, , className = ""] of columns) {
      const node = make("th", title, className);
      node.scope = "col";
      head.append(node);
    }
    const body = rows.map((row) => {
      const line = make("tr");
      for (const [, value, className = ""] of columns) line.append(cell(value(row), className));
      return line;
    });
    if (!rows.length) {
      const line = make("tr");
      const only = cell(nothing, "nothing");
      only.colSpan = columns.length;
      line.append(only);
      body.push(line);
    }
    const top = make("thead");
    top.append(head);
    const rest = make("tbody");
    rest.append(...body);
    target.replaceChildren(top, rest);
  };

  return { badge, cents, make, meter, money, number, percent, short, table, utc, words };
})();
