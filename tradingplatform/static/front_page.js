// Live figures of the front page over /ws/market; the protocol's rules are in market/stream.js.

import { Stream } from "./market/stream.js";

const LEVELS = 9;
const TRADES = 18;
const CANDLES = 120;
const STATES = { live: "live", stale: "no data", connecting: "connecting", reconnecting: "reconnecting" };
const byId = (id) => document.getElementById(id);
const rows = new Map();
for (const row of document.querySelectorAll("#markets tr[data-symbol]")) rows.set(row.dataset.symbol, row);
const symbols = [...rows.keys()];
const stream = new Stream("/ws/market", { onState: setState });
let selected = symbols[0];
let book = null;
let trades = [];
let candles = [];

function setState(state) {
  const pill = byId("connection");
  pill.textContent = STATES[state] ?? state;
  pill.dataset.state = { live: "ok", connecting: "connecting" }[state] ?? "bad";
}

// Follows one market's book and trades; those of the one before are left.
function follow(symbol) {
  stream.subscribe(`book:${symbol}:20`, { snapshot: setBook, change: changeBook });
  stream.subscribe(`trade:${symbol}`, { snapshot: setTrades, change: addTrades });
}

function leave(symbol) {
  stream.unsubscribe(`book:${symbol}:20`);
  stream.unsubscribe(`trade:${symbol}`);
}

function showTicker(symbol, data) {
  const row = rows.get(symbol);
  if (!row) return;
  if (symbol === selected && data.last) takeLast(Number(data.last), data.time);
  for (const cell of row.querySelectorAll("[data-field]")) {
    const field = cell.dataset.field;
    let text = data[field] ?? (field === "last" ? data.index_price : null) ?? "–";
    if (field === "change_percent" && data[field] !== null && data[field] !== undefined) {
      const change = Number(data[field]);
      cell.className = `number ${change > 0 ? "up" : change < 0 ? "down" : ""}`;
      text = `${change > 0 ? "+" : ""}${data[field]} %`;
    }
    if (cell.textContent === text) continue;
    if (field === "last") {
      delete cell.dataset.moved;
      void cell.offsetWidth; // Lets the animation begin anew.
      cell.dataset.moved = Number(text) >= Number(cell.textContent) ? "up" : "down";
    }
    cell.textContent = text;
  }
}

function setBook(data) {
  book = { bids: new Map(data.bids), asks: new Map(data.asks) };
  bookDirty = true;
}

function changeBook(data) {
  for (const side of ["bids", "asks"]) {
    for (const [price, quantity] of data[side]) {
      if (Number(quantity) === 0) book[side].delete(price);
      else book[side].set(price, quantity);
    }
  }
  bookDirty = true;
}

function setTrades(data) {
  trades = data.trades.slice(0, TRADES);
  tradesDirty = true;
}

function addTrades(data) {
  trades = [...data.trades, ...trades].slice(0, TRADES);
  tradesDirty = true;
}

// The last price moves the last candle; a new minute begins a new one.
function takeLast(price, time) {
  if (!candles.length) return;
  const minute = Math.floor(time / 60000) * 60000;
  const last = candles[candles.length - 1];
  if (minute > last.time) {
    candles = [...candles, { time: minute, open: last.close, high: price, low: price, close: price }].slice(-CANDLES);
  } else {
    last.high = Math.max(last.high, price);
    last.low = Math.min(last.low, price);
    last.close = price;
  }
  chartDirty = true;
}

let bookDirty = false;
let tradesDirty = false;
let chartDirty = false;

function cells(body, lines) {
  const fragment = document.createDocumentFragment();
  for (const line of lines) {
    const row = document.createElement("tr");
    for (const [text, style] of line) {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (style) cell.className = style;
      row.append(cell);
    }
    fragment.append(row);
  }
  body.replaceChildren(fragment);
}

function draw() {
  if (bookDirty) {
    bookDirty = false;
    const sorted = (side, sign) => (book ? [...book[side]].sort((one, two) => sign * (Number(one[0]) - Number(two[0]))).slice(0, LEVELS) : []);
    const asks = sorted("asks", 1);
    const bids = sorted("bids", -1);
    cells(byId("asks"), asks.reverse().map(([price, quantity]) => [[price, "down"], [quantity]]));
    cells(byId("bids"), bids.map(([price, quantity]) => [[price, "up"], [quantity]]));
    const ask = asks[asks.length - 1];
    byId("spread").textContent = ask && bids[0] ? `spread ${(Number(ask[0]) - Number(bids[0][0])).toFixed((ask[0].split(".")[1] || "").length)}` : "empty";
  }
  if (tradesDirty) {
    tradesDirty = false;
    cells(byId("trades"), trades.map((trade) => [
      [trade.price, trade.side === "buy" ? "up" : "down"],
      [trade.quantity],
      [new Date(trade.time).toLocaleTimeString([], { hour12: false }), "number muted"],
    ]));
  }
  if (chartDirty) {
    chartDirty = false;
    drawChart();
  }
  requestAnimationFrame(draw);
}

function drawChart() {
  const canvas = byId("chart");
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  if (!candles.length) return;
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const low = Math.min(...candles.map((bar) => bar.low));
  const high = Math.max(...candles.map((bar) => bar.high));
  const range = high - low || high * 0.001 || 1;
  const right = 74;
  const y = (price) => 8 + (height - 16) * (1 - (price - low) / range);
  const step = (width - right) / CANDLES;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (let line = 0; line <= 4; line++) {
    const price = low + (range * line) / 4;
    context.strokeStyle = color("--line");
    context.beginPath();
    context.moveTo(0, Math.round(y(price)) + 0.5);
    context.lineTo(width - right, Math.round(y(price)) + 0.5);
    context.stroke();
    context.fillStyle = color("--muted");
    context.fillText(price >= 100 ? price.toFixed(2) : price.toPrecision(6), width - right + 6, y(price));
  }
  candles.forEach((bar, index) => {
    const x = width - right - (candles.length - index) * step + step / 2;
    context.strokeStyle = context.fillStyle = color(bar.close >= bar.open ? "--up" : "--down");
    context.beginPath();
    context.moveTo(x, y(bar.high));
    context.lineTo(x, y(bar.low));
    context.stroke();
    const top = y(Math.max(bar.open, bar.close));
    context.fillRect(x - step * 0.35, top, step * 0.7, Math.max(1, y(Math.min(bar.open, bar.close)) - top));
  });
}

async function loadCandles(symbol) {
  const response = await fetch(`/api/markets/${symbol}/klines?interval=1m&limit=${CANDLES}`);
  if (!response.ok) return;
  const body = await response.json();
  if (symbol !== selected) return;
  candles = body.klines.map((bar) => ({
    time: bar.open_time, open: Number(bar.open), high: Number(bar.high), low: Number(bar.low), close: Number(bar.close),
  }));
  chartDirty = true;
}

function select(symbol) {
  if (selected) leave(selected);
  selected = symbol;
  for (const [name, row] of rows) row.setAttribute("aria-selected", String(name === symbol));
  byId("selected").textContent = symbol || "";
  byId("open-market").href = `/markets/${symbol || ""}`;
  book = null;
  trades = [];
  candles = [];
  bookDirty = tradesDirty = chartDirty = true;
  if (symbol) follow(symbol);
  if (symbol) loadCandles(symbol).catch(() => {});
}

for (const [symbol, row] of rows) row.querySelector("button").addEventListener("click", () => select(symbol));
window.addEventListener("resize", () => { chartDirty = true; });
for (const symbol of symbols) {
  const show = (data) => showTicker(symbol, data);
  stream.subscribe(`ticker:${symbol}`, { snapshot: show, change: show });
}
select(selected);
stream.open();
requestAnimationFrame(draw);
