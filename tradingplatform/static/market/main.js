// The market page: puts streams, state and views together. A worked example of docs/WEBSOCKET.md.

import { Account } from "./account.js";
import { Book } from "./book.js";
import { Chart } from "./chart.js";
import { compact, grouped, toAtoms, toText, trimmed } from "./decimal.js";
import { Positions } from "./positions.js";
import { Session } from "./session.js";
import { Stream, StreamError } from "./stream.js";
import { Tape } from "./tape.js";
import { Ticket } from "./ticket.js";

const page = document.getElementById("market");
const byId = (id) => document.getElementById(id);
const market = {
  symbol: page.dataset.symbol, kind: page.dataset.kind, base: page.dataset.base, quote: page.dataset.quote, tick: page.dataset.tick,
  tickAtoms: toAtoms(page.dataset.tick), lotAtoms: toAtoms(page.dataset.lot),
  priceDecimals: Number(page.dataset.priceDecimals), quantityDecimals: Number(page.dataset.quantityDecimals),
};
const STATES = {
  connecting: "Connecting …", live: "Live", stale: "No data for 5 s: what you see is old",
  reconnecting: "Connection lost: reconnecting …", closed: "Closed",
};
// Outcomes after which nobody knows whether an order was taken.
const LOST = new Set(["CONNECTION_LOST", "NO_ANSWER", "STATUS_UNKNOWN"]);

const stream = new Stream("/ws/market", { onState: () => showState() });
const session = new Session(() => sessionChanged());
let userStream = null;
let ticker = {};

const book = new Book({
  asks: byId("asks"), bids: byId("bids"), spread: byId("spread"), market, onPick: (price) => ticket.pick(price),
});
const tape = new Tape(byId("trades"));
const chart = new Chart(byId("chart"), { market, stream });
const account = new Account({
  orders: byId("orders"), noOrders: byId("no-orders"), balances: byId("balances"), market,
  onOrders: (orders) => {
    chart.mark(orders);
    ticket.show();
  },
  onFill: (fill) => {
    if (market.kind === "perpetual") positions.ask();
    announce(`${fill.side === "buy" ? "Bought" : "Sold"} ${trimmed(fill.quantity)} ${fill.symbol.split("-")[0]} at ${grouped(fill.price)}`);
  },
  onCancel: (order) => cancel(order),
});
const positions = new Positions({
  body: byId("positions"), none: byId("no-positions"), market, session, say: (text) => announce(text),
});
const ticket = new Ticket(byId("ticket"), {
  market,
  available: (currency) => account.available(currency),
  reference: (side) => book.best(side === "buy" ? "asks" : "bids") ?? ticker.last ?? ticker.index_price ?? "",
  place: (order) => place(order),
  preview: (order) => session.request("POST", "/api/orders/preview", order),
});

// --- public data ---------------------------------------------------------------------------

function showTicker(data) {
  const before = ticker.last;
  ticker = data;
  const last = byId("last");
  last.textContent = grouped(data.last ?? data.index_price);
  if (before && data.last && before !== data.last) {
    last.className = Number(data.last) > Number(before) ? "up" : "down";
    document.title = `${grouped(data.last)} ${market.symbol}`;
  }
  const change = byId("change");
  const percent = Number(data.change_percent ?? 0);
  change.textContent = data.change_percent === null ? "–" : `${percent > 0 ? "+" : ""}${data.change_percent} %`;
  change.className = percent > 0 ? "up" : percent < 0 ? "down" : "";
  byId("high").textContent = grouped(data.high);
  byId("low").textContent = grouped(data.low);
  byId("volume").textContent = `${compact(data.quote_volume)} ${market.quote}`;
  byId("index").textContent = data.index_price ? grouped(toText(toAtoms(data.index_price), market.priceDecimals)) : "–";
}

stream.subscribe(`ticker:${market.symbol}`, { snapshot: showTicker, change: showTicker });
stream.subscribe(`book:${market.symbol}:100`, book);
stream.subscribe(`trade:${market.symbol}`, tape);
chart.show("1m");
stream.open();

function showState() {
  const worst = [stream, userStream].filter(Boolean).map((one) => one.state)
    .sort((one, two) => rank(two) - rank(one))[0];
  const pill = byId("connection");
  pill.textContent = STATES[worst];
  pill.dataset.state = worst === "live" ? "ok" : worst === "connecting" ? "wait" : "bad";
  page.dataset.stale = String(stream.state !== "live");
  byId("banner").hidden = worst === "live" || worst === "connecting";
  byId("banner").textContent = STATES[worst];
}

function rank(state) {
  return ["live", "connecting", "closed", "stale", "reconnecting"].indexOf(state);
}

for (const button of document.querySelectorAll("[data-interval]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-interval]")) other.setAttribute("aria-pressed", String(other === button));
    chart.show(button.dataset.interval);
  });
}
byId("markets").addEventListener("change", (event) => { location.href = `/markets/${event.target.value}`; });

// --- one's own account ---------------------------------------------------------------------

function sessionChanged() {
  document.body.classList.toggle("logged-in", session.active);
  byId("username").textContent = session.user?.username ?? "";
  userStream?.close();
  userStream = null;
  account.clear();
  chart.mark(account.orders);
  positions.follow();
  if (session.active) {
    userStream = new Stream("/ws/user", { token: () => session.token(), onState: () => showState() });
    account.follow(userStream);
    userStream.open();
    session.request("GET", "/api/account").then((settings) => {
      ticket.fee = toAtoms(settings.taker_fee) ?? 0n;
    }).catch(() => {});
  }
  showState();
}

function clientOrderId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function place(order) {
  const id = clientOrderId();
  try {
    return (await userStream.request("place", { params: { ...order, client_order_id: id } })).data;
  } catch (error) {
    if (!LOST.has(error.code)) throw error;
    return found(id);
  }
}

// The answer was lost; the platform knows what became of the order.
async function found(id) {
  try {
    return await session.request("GET", `/api/orders/by-client-id/${id}`);
  } catch (error) {
    if (error.status === 404) throw new StreamError({ code: "NOT_PLACED", message: "The order was not placed." });
    throw new StreamError({ code: "STATUS_UNKNOWN", message: "Not known yet whether the order was taken: see the open orders." });
  }
}

async function cancel(order) {
  try {
    await userStream.request("cancel", { params: { order_id: order.id } });
  } catch (error) {
    announce(`${error.message} (${error.code})`);
    throw error;
  }
}

byId("cancel-all").addEventListener("click", async () => {
  try {
    const { data } = await userStream.request("cancel_all", { params: { symbol: market.symbol } });
    announce(`${data.orders.length} orders cancelled`);
  } catch (error) {
    announce(`${error.message} (${error.code})`);
  }
});

let challenge = null;

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const { username, password, code } = form.elements;
  const message = form.querySelector("[data-role=message]");
  message.textContent = "";
  form.querySelector("button").disabled = true;
  try {
    if (challenge) await session.complete(challenge, code.value.trim());
    else challenge = await session.login(username.value, password.value);
    if (session.active) {
      challenge = null;
      form.reset();
    }
  } catch (error) {
    // A challenge lives for five minutes; what is wrong with it is asked from the beginning.
    if (error.code !== "TWO_FACTOR_INVALID") challenge = null;
    message.textContent = `${error.message} (${error.code ?? "NETWORK"})`;
  } finally {
    form.querySelector("button").disabled = false;
  }
  byId("second-factor").hidden = challenge === null;
  if (session.active) byId("ticket").elements.quantity.focus();
  else (challenge ? code : password).focus();
});
byId("logout").addEventListener("click", () => session.logout());

// --- drawing -------------------------------------------------------------------------------

let announced = 0;

function announce(text) {
  byId("announcement").textContent = text;
  byId("announcement").hidden = false;
  clearTimeout(announced);
  announced = setTimeout(() => { byId("announcement").hidden = true; }, 5_000);
}

// Keys for those who look at the book and not at the mouse.
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const side = { b: "buy", s: "sell" }[event.key.toLowerCase()];
  if (!side || !session.active) return;
  event.preventDefault();
  ticket.choose(side);
  byId("ticket").elements.quantity.focus();
});

function draw() {
  book.draw();
  tape.draw();
  account.draw();
  requestAnimationFrame(draw);
}
requestAnimationFrame(draw);
