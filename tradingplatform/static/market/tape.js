// The public trades, newest first.

import { grouped } from "./decimal.js";

const ROWS = 26;

export class Tape {
  constructor(body) {
    this.body = body;
    this.trades = [];
    this.dirty = true;
  }

  snapshot(data) {
    this.trades = data.trades.slice(0, ROWS);
    this.dirty = true;
  }

  change(data) {
    this.trades = [...data.trades, ...this.trades].slice(0, ROWS);
    this.dirty = true;
  }

  draw() {
    if (!this.dirty) return;
    this.dirty = false;
    this.body.replaceChildren(...this.trades.map((trade) => {
      const row = document.createElement("tr");
      const [price, quantity, time] = Array.from({ length: 3 }, () => row.insertCell());
      price.textContent = grouped(trade.price);
      price.className = trade.side === "buy" ? "up" : "down";
      quantity.textContent = trade.quantity;
      time.textContent = clock(trade.time);
      time.className = "muted";
      return row;
    }));
  }
}

export function clock(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString([], { hour12: false });
}
