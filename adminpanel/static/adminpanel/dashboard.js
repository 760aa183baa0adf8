// Keeps the dashboard fresh: figures each second, charts each quarter of a minute, and nothing at
// all while the page is hidden.
"use strict";

(() => {
  const { badge, cents, make, meter, money, number, percent, short, table, utc, words } = window.ops;
  const root = document.getElementById("dashboard");
  if (!root) return;
  const LIVE_MS = 1_000;
  const CHARTS_MS = 15_000;
  const LATE_MS = 10_000;
  const byId = (id) => document.getElementById(id);
  let range = document.querySelector("#ranges [aria-pressed=true]").dataset.range;
  let chartsAnswer = null;

  const toneOf = { trading: "good", post_only: "warn", cancel_only: "warn", halted: "bad", settled: "soft" };
  const tone = (status) => toneOf[status] || "bad";
  const feedTone = { live: "good", replay: "good", ok: "good", degraded: "warn" };

  const showPhase = (board) => {
    const node = byId("phase");
    const worst = board.alerts.some((alert) => alert.severity === "critical") ? "bad" : "warn";
    node.textContent = words(board.phase);
    node.className = `ops-phase ${board.phase === "trading" && !board.alerts.length ? "good" : worst}-back`;
    byId("clock").textContent = `${utc(board.time)} UTC`;
    const items = board.alerts.map((alert) => {
      const item = make("li", alert.text, alert.severity === "critical" ? "bad-back" : "warn-back");
      item.dataset.code = alert.code;
      return item;
    });
    byId("alerts").replaceChildren(
      ...(items.length ? items : [make("li", "No alerts.", "good-back")]),
    );
  };

  const tilesOf = (board) => {
    const tiles = [];
    const { health, feeds, funds, markets, users } = board;
    if (health) {
      const { engine, order_to_ack: ack } = health;
      const lag = engine.orders_lag === null ? null : engine.orders_lag + engine.system_lag;
      tiles.push(
        ["Leader", engine.available ? `epoch ${engine.epoch}` : "none", engine.leader || "", engine.available ? "" : "bad"],
        ["Backlog", number(lag), `silent ${number(engine.heartbeat_age_ms, " ms")}`, lag > 1_000 ? "bad" : ""],
        ["Order to ack", number(ack.mean_ms, " ms"), `p99 ${number(ack.p99_ms, " ms")}`],
        ["Orders answered", number(ack.per_second, "/s"), `${number(engine.orders_ever)} orders ever`],
        ["Commands", number(engine.commands_per_second, "/s"), `${number(engine.command_number)} ever`],
        ["Commit", number(engine.commit_ms, " ms"), `${number(engine.rows_per_batch)} rows`],
        ["Quarantine", number(health.quarantined), "commands set aside", health.quarantined ? "bad" : ""],
      );
    }
    if (feeds) {
      const states = feeds.indexes.map((index) => index.state);
      const state = states.find((one) => one === "halted") || states.find((one) => one === "degraded") || states[0];
      tiles.push(["Prices", feeds.available ? words(state || "none") : "none", `${feeds.mode || ""} by ${feeds.holder || "nobody"}`, feedTone[state] === "good" ? "" : "bad"]);
    }
    if (markets) {
      const open = markets.filter((market) => market.open_interest_value !== null);
      const sum = open.reduce((total, market) => total + Number(market.open_interest_value), 0);
      const trading = markets.filter((market) => market.status === "trading").length;
      tiles.push(["Markets", `${trading} / ${markets.length}`, "trading", trading < markets.length ? "warn" : ""]);
      if (open.length) tiles.push(["Open interest", short(sum), open[0].currency]);
    }
    for (const fund of funds || []) {
      tiles.push([`Insurance ${fund.insurance_group}`, short(fund.balance), `${fund.currency}, ${percent(fund.coverage, 0)} of open interest`, fund.takeovers_stopped ? "bad" : ""]);
    }
    if (users) {
      const connected = users.namespaces.reduce((total, one) => total + one.connections, 0);
      tiles.push(["Users", number(users.registered), `${number(connected)} sockets`]);
    }
    return tiles;
  };

  const showTiles = (board) => {
    byId("tiles").replaceChildren(
      ...tilesOf(board).map(([title, value, note = "", colour = ""]) => {
        const tile = make("div", "", "ops-tile");
        const shown = make("div", value, `ops-value ${colour}`);
        shown.title = value;
        const below = make("div", note, "ops-note");
        below.title = note;
        tile.append(make("div", title, "ops-label"), shown, below);
        return tile;
      }),
    );
  };

  const ratioTone = (ratio) => (ratio === null || ratio >= 0.9 ? "bad" : ratio >= 0.7 ? "warn" : "good");

  // Index and mark carry more decimals than anybody reads; small prices keep theirs.
  const price = (text) => (text !== null && Number(text) >= 10 ? cents(text) : money(text));

  const showTables = (board) => {
    table("markets", [
      ["Market", (row) => row.symbol],
      ["Status", (row) => [badge(row.status, tone(row.status)), row.cause ? ` ${words(row.cause)}` : ""]],
      ["Last", (row) => money(row.last_price), "number"],
      ["Index", (row) => price(row.index_price), "number"],
      ["Mark", (row) => price(row.mark_price), "number"],
      ["Volume 24 h", (row) => (row.quote_volume === null ? "–" : `${short(row.quote_volume)} ${row.currency}`), "number"],
      ["Open interest", (row) => money(row.open_interest), "number"],
      ["Value", (row) => (row.open_interest_value === null ? "–" : `${short(row.open_interest_value)} ${row.currency}`), "number"],
      ["Funding", (row) => (row.predicted_funding_rate === null ? "–" : percent(row.predicted_funding_rate, 4)), "number"],
    ], board.markets, "There are no markets.");
    table("near", [
      ["Account", (row) => row.username || row.account_id],
      ["Position", (row) => `${row.symbol} ${row.side}${row.positions > 1 ? ` +${row.positions - 1}` : ""}`],
      ["Mode", (row) => row.margin_mode],
      ["Value", (row) => `${cents(row.value)} ${row.currency}`, "number"],
      ["Profit", (row) => make("span", cents(row.profit), row.profit.startsWith("-") ? "bad" : "good"), "number"],
      ["Margin ratio", (row) => {
        const ratio = row.margin_ratio === null ? null : Number(row.margin_ratio);
        return [ratio === null ? "nothing left" : percent(ratio), meter(ratio === null ? 1 : ratio, ratioTone(ratio))];
      }, "number"],
      ["Mark", (row) => price(row.mark_price), "number"],
      ["Liquidation at", (row) => price(row.liquidation_price), "number"],
      ["Distance", (row) => (Number(row.distance) > 10 ? "> 1,000 %" : percent(row.distance, 2)), "number"],
    ], board.near_liquidation, "No open positions.");
    table("funds", [
      ["Group", (row) => `${row.insurance_group} ${row.currency}`],
      ["Balance", (row) => cents(row.balance), "number"],
      ["Of open interest", (row) => percent(row.coverage), "number"],
      ["Inherited", (row) => cents(row.inherited_value), "number"],
      ["Net", (row) => cents(row.inherited_net_value), "number"],
      ["Its profit", (row) => cents(row.inherited_profit), "number"],
      ["Worst case", (row) => cents(row.worst_case_loss), "number"],
      ["Headroom", (row) => make("span", cents(row.headroom), row.headroom.startsWith("-") ? "bad" : "good"), "number"],
      ["May take over", (row) => (row.takeovers_stopped ? badge("stopped", "bad") : cents(row.takeover_limit)), "number"],
    ], board.funds, "There are no insurance funds.");
    table("withdrawals", [
      ["State", (row) => badge(row.status, row.status === "requested" ? "warn" : "good")],
      ["Currency", (row) => row.currency],
      ["Withdrawals", (row) => number(row.count), "number"],
      ["With fees", (row) => money(row.total), "number"],
    ], board.withdrawals, "No withdrawal waits.");
    showHealth(board);
    table("liquidations", [
      ["Time (UTC)", (row) => utc(row.time)],
      ["Market", (row) => row.symbol],
      ["Step", (row) => badge(row.kind, row.kind === "order" ? "warn" : "bad")],
      ["Account", (row) => row.account_id],
      ["Side", (row) => row.side],
      ["Quantity", (row) => money(row.quantity), "number"],
      ["Price", (row) => money(row.price), "number"],
      ["Value", (row) => cents(row.notional), "number"],
    ], board.liquidations, "Nobody was liquidated.");
    table("commands", [
      ["Time (UTC)", (row) => utc(row.time)],
      ["Command", (row) => row.type],
      ["By", (row) => row.actor || "–"],
      ["Result", (row) => badge(row.result, row.result === "OK" ? "good" : "bad")],
      ["Reason", (row) => row.reason, "long"],
    ], board.commands, "No commands.");
    table("audit", [
      ["Time (UTC)", (row) => utc(row.time)],
      ["Action", (row) => row.action],
      ["By", (row) => row.actor],
      ["Of", (row) => row.target, "long"],
      ["Reason", (row) => row.reason, "long"],
    ], board.audit, "No events.");
  };

  const showHealth = (board) => {
    const { health, feeds, users } = board;
    if (health) {
      table("checks", [
        ["Check", (row) => row[0]],
        ["", (row) => badge(row[1].ok ? "ok" : "failed", row[1].ok ? "good" : "bad")],
        ["", (row) => row[1].detail, "long"],
      ], Object.entries(health.checks), "No checks.");
      const missing = health.missing_processes.map((name) => ({ name, missing: true }));
      table("processes", [
        ["Process", (row) => row.name],
        ["", (row) => (row.missing ? badge("not heard", "bad") : badge("alive", "good"))],
        ["CPU", (row) => (row.missing ? "–" : number(row.cpu_percent, " %")), "number"],
        ["Memory", (row) => (row.memory_bytes ? `${Math.round(row.memory_bytes / 2 ** 20)} MiB` : "–"), "number"],
        ["Files", (row) => number(row.missing ? null : row.open_files), "number"],
      ], [...missing, ...health.processes], "No process is heard.");
    }
    if (feeds) {
      const rows = feeds.indexes.flatMap((index) => index.sources.map((source) => ({ ...source, symbol: index.symbol })));
      table("feeds", [
        ["Index", (row) => row.symbol],
        ["Source", (row) => row.source],
        ["", (row) => badge(row.status, feedTone[row.status] || "bad")],
        ["Age", (row) => number(row.age_ms, " ms"), "number"],
        ["Divergence", (row) => percent(row.divergence, 3), "number"],
      ], rows, "Nobody feeds prices.");
    }
    if (users) {
      const rows = [
        ["Requests", number(users.requests_per_second, "/s")],
        ["Orders", number(users.orders_per_second, "/s")],
        ["Cancels", number(users.cancels_per_second, "/s")],
        ["Refusals", number(users.refusals_per_second, "/s")],
        ["Errors", number(users.errors_per_second, "/s")],
        ...users.namespaces.map((one) => [`Sockets ${one.namespace}`, `${number(one.connections)} of ${number(one.users)} users`]),
      ];
      table("users", [["What", (row) => row[0]], ["Now", (row) => row[1], "number"]], rows, "");
    }
  };

  const show = (board) => {
    showPhase(board);
    showTiles(board);
    showTables(board);
  };

  const setLink = (text, className) => {
    byId("link").textContent = text;
    byId("link").className = `ops-link ${className}`;
  };

  const ask = async (url) => {
    const answer = await fetch(url, {
      credentials: "same-origin",
      redirect: "manual",
      cache: "no-store",
      signal: AbortSignal.timeout(LATE_MS),
    });
    // Who is logged out is sent to the login page: no answer for a script.
    if (answer.type === "opaqueredirect") return null;
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return answer.json();
  };

  // One loop each: the next question waits for the answer, so a slow server is not asked twice.
  const repeat = (work, everyMs) => {
    let timer = null;
    let running = false;
    const turn = async () => {
      if (document.hidden || running) return;
      running = true;
      clearTimeout(timer);
      let goOn = true;
      try {
        goOn = await work();
      } finally {
        running = false;
      }
      if (goOn && !document.hidden) timer = setTimeout(turn, everyMs);
    };
    document.addEventListener("visibilitychange", turn);
    return turn;
  };

  const guarded = (work) => async () => {
    try {
      return await work();
    } catch (error) {
      setLink(`no answer (${error.message || error.name})`, "bad");
      return true;
    }
  };

  const liveTurn = repeat(guarded(async () => {
    const board = await ask(root.dataset.live);
    if (board === null) {
      setLink("logged out: reload the page", "bad");
      return false;
    }
    show(board);
    setLink("live", "good");
    return true;
  }), LIVE_MS);

  const chartsTurn = repeat(guarded(async () => {
    const asked = range;
    const answer = await ask(`${root.dataset.charts}?range=${encodeURIComponent(asked)}`);
    if (answer === null) return false;
    chartsAnswer = answer;
    if (asked === range) window.opsCharts.draw(answer);
    return true;
  }), CHARTS_MS);

  byId("ranges").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-range]");
    if (!button) return;
    range = button.dataset.range;
    for (const other of byId("ranges").children) other.setAttribute("aria-pressed", String(other === button));
    chartsTurn();
  });
  // The colours of axes follow the theme.
  new MutationObserver(() => chartsAnswer && window.opsCharts.draw(chartsAnswer)).observe(
    document.documentElement, { attributes: true, attributeFilter: ["class"] });

  show(JSON.parse(byId("board-data").textContent));
  setTimeout(liveTurn, LIVE_MS);
  chartsTurn();
})();
