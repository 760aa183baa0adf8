// One's own open orders and balances, rebuilt from the private stream.

import { fitting, grouped, trimmed } from "./decimal.js";
import { Press } from "./press.js";
import { clock } from "./tape.js";

const ENDED = new Set(["filled", "cancelled", "expired"]);
const TYPES = {
  limit: "Limit", market: "Market", stop_loss: "Stop", stop_loss_limit: "Stop limit",
  take_profit: "Take profit", take_profit_limit: "Take profit limit", trailing_stop: "Trailing stop",
};

export class Account {
  constructor({ orders, noOrders, balances, onOrders, onFill, onCancel, market }) {
    Object.assign(this, { body: orders, noOrders, balanceBody: balances, onOrders, onFill, onCancel, market });
    this.press = new Press(orders);
    this.clear();
  }

  clear() {
    this.orders = new Map();
    this.balances = new Map();
    this.dirty = true;
  }

  follow(stream) {
    stream.subscribe("orders", {
      snapshot: (data) => {
        this.orders = new Map(data.orders.map((order) => [order.id, order]));
        this.changed();
      },
      change: (order) => {
        if (ENDED.has(order.status)) this.orders.delete(order.id);
        else this.orders.set(order.id, order);
        this.changed();
      },
    });
    stream.subscribe("balances", {
      snapshot: (data) => {
        this.balances = new Map(data.balances.map((balance) => [`${balance.currency} ${balance.wallet}`, balance]));
        this.changed();
      },
      change: (balance) => {
        this.balances.set(`${balance.currency} ${balance.wallet}`, balance);
        this.changed();
      },
    });
    // The snapshot holds what is old; only what happens from now on is news.
    stream.subscribe("fills", { snapshot: () => {}, change: (fill) => this.onFill(fill) });
  }

  changed() {
    this.dirty = true;
    this.onOrders(this.orders);
  }

  available(currency) {
    const wallet = this.market.kind === "perpetual" ? "margin" : "spot";
    return this.balances.get(`${currency} ${wallet}`)?.available ?? "0";
  }

  draw() {
    if (!this.dirty || this.press.down) return;
    this.dirty = false;
    const focused = document.activeElement?.dataset?.order;
    const newest = [...this.orders.values()].sort((one, two) => two.created_at - one.created_at);
    this.body.replaceChildren(...newest.map((order) => this.orderRow(order)));
    if (focused) this.body.querySelector(`[data-order="${CSS.escape(focused)}"]`)?.focus();
    this.noOrders.hidden = newest.length > 0;
    const owned = [...this.balances.values()].filter((balance) => Number(balance.total) !== 0);
    this.balanceBody.replaceChildren(...owned.map(balanceRow));
  }

  orderRow(order) {
    const row = document.createElement("tr");
    const price = order.price ?? (order.trigger_price ? `@ ${grouped(order.trigger_price)}` : "market");
    const filled = `${trimmed(order.filled_quantity)} / ${trimmed(order.quantity ?? order.quote_quantity)}`;
    cell(row, clock(order.created_at), "muted wide");
    cell(row, order.symbol, order.symbol === this.market.symbol ? "" : "muted");
    cell(row, order.side === "buy" ? "Buy" : "Sell", order.side === "buy" ? "up" : "down");
    cell(row, TYPES[order.type] ?? order.type, "wide");
    cell(row, order.price ? grouped(price) : price, "number");
    cell(row, filled, "number");
    cell(row, order.status.replace("_", " "), "muted wide");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = "Cancel";
    button.dataset.order = order.id;
    button.setAttribute("aria-label", `Cancel ${order.side} order ${order.id} of ${order.symbol}`);
    button.addEventListener("click", () => {
      button.disabled = true;
      this.onCancel(order).catch(() => { button.disabled = false; });
    });
    cell(row, "", "number").append(button);
    return row;
  }
}

function balanceRow(balance) {
  const row = document.createElement("tr");
  cell(row, balance.wallet === "spot" ? balance.currency : `${balance.currency} (${balance.wallet})`);
  cell(row, fitting(balance.available), "number").title = balance.available;
  cell(row, fitting(balance.held), "number muted").title = balance.held;
  return row;
}

function cell(row, text, style = "") {
  const made = row.insertCell();
  made.textContent = text;
  if (style) made.className = style;
  return made;
}
