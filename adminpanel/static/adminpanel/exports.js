// Follows the exports on the page while one of them is not done.
"use strict";

(() => {
  const { badge, make, meter, number, table, utc } = window.ops;
  const root = document.getElementById("exports-page");
  const EVERY_MS = 1_000;
  const tones = { pending: "warn", running: "warn", done: "good", failed: "bad", expired: "soft" };

  const period = (row) => `${row.since ? utc(row.since).slice(0, 10) : "beginning"} – ${utc(row.until).slice(0, 16)}`;

  const limited = (row) => [row.account_id && `account ${row.account_id}`, row.symbol].filter(Boolean).join(", ") || "–";

  // The addresses on the page are those of export 1.
  const addressOf = (pattern, id) => pattern.replace("/1/", `/${id}/`);

  const offer = (row) => {
    if (row.status === "done") {
      const link = make("a", "Download", "ops-link-text");
      link.href = addressOf(root.dataset.file, row.id);
      return link;
    }
    if (row.status === "failed") {
      const button = make("button", "Try again", "ops-link-text");
      button.type = "button";
      button.addEventListener("click", () => {
        const form = document.getElementById("retry");
        form.action = addressOf(root.dataset.retry, row.id);
        form.submit();
      });
      return button;
    }
    return row.status === "running" ? [`${row.percent} %`, meter(row.percent / 100, "good")] : "–";
  };

  const show = (rows) =>
    table("exports", [
      ["Asked at (UTC)", (row) => utc(row.created)],
      ["What", (row) => row.title],
      ["", offer],
      ["Of", limited],
      ["Period (UTC)", period],
      ["By", (row) => row.requested_by],
      ["State", (row) => [badge(row.status, tones[row.status]), row.error ? ` ${row.error}` : ""], "long"],
      ["Rows", (row) => number(row.rows), "number"],
      ["MiB", (row) => (row.bytes ? (row.bytes / 2 ** 20).toFixed(1) : "–"), "number"],
    ], rows, "Nothing was exported yet.");

  const isWaiting = (rows) => rows.some((row) => row.status === "pending" || row.status === "running");

  const follow = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(root.dataset.status, { credentials: "same-origin", redirect: "manual", cache: "no-store" });
      if (answer.ok) {
        const { exports: rows } = await answer.json();
        show(rows);
        if (!isWaiting(rows)) return;
      }
    } catch {
      // The next turn asks again.
    }
    setTimeout(follow, EVERY_MS);
  };

  const first = JSON.parse(document.getElementById("exports-data").textContent);
  show(first);
  if (isWaiting(first)) setTimeout(follow, EVERY_MS);
  document.addEventListener("visibilitychange", follow);
})();
