// The order book: kept from a snapshot and its changes, drawn with the depth behind the prices.

import { grouped, toAtoms, toText } from "./decimal.js";

const ROWS = 11;

export class Book {
  constructor({ asks, bids, spread, market, onPick }) {
    this.market = market;
    this.spread = spread;
    this.levels = null;
    this.dirty = true;
    this.rows = { asks: makeRows(asks, "down", onPick), bids: makeRows(bids, "up", onPick) };
  }

  snapshot(data) {
    this.levels = { bids: new Map(data.bids), asks: new Map(data.asks) };
    this.dirty = true;
  }

  change(data) {
    for (const side of ["bids", "asks"]) {
      for (const [price, quantity] of data[side]) {
        if (toAtoms(quantity) === 0n) this.levels[side].delete(price);
        else this.levels[side].set(price, quantity);
      }
    }
    this.dirty = true;
  }

  // Something was missed: the levels stay, dimmed, until the next snapshot.
  lost() {
    this.dirty = true;
  }

  best(side) {
    return this.sorted(side)[0]?.[0] ?? null;
  }

  sorted(side) {
    if (!this.levels) return [];
    const sign = side === "asks" ? 1 : -1;
    return [...this.levels[side]].sort((one, two) => sign * (Number(one[0]) - Number(two[0])));
  }

  draw() {
    if (!this.dirty) return;
    this.dirty = false;
    const bids = this.side("bids");
    const asks = this.side("asks");
    const deepest = [bids.at(-1)?.sum ?? 0n, asks.at(-1)?.sum ?? 0n].reduce((one, two) => (one > two ? one : two));
    this.fill(this.rows.bids, bids, deepest);
    // Asks are drawn upwards, so that the best prices meet in the middle.
    this.fill([...this.rows.asks].reverse(), asks, deepest);
    this.drawSpread(bids[0], asks[0]);
  }

  side(side) {
    let sum = 0n;
    return this.sorted(side).slice(0, ROWS).map(([price, quantity]) => {
      sum += toAtoms(quantity);
      return { price, quantity, sum };
    });
  }

  fill(rows, levels, deepest) {
    rows.forEach((row, index) => {
      const level = levels[index];
      row.price.textContent = level ? grouped(level.price) : "";
      row.price.dataset.price = level?.price ?? "";
      row.quantity.textContent = level?.quantity ?? "";
      row.sum.textContent = level ? toText(level.sum, this.market.quantityDecimals) : "";
      const share = level && deepest > 0n ? Number((level.sum * 1000n) / deepest) / 10 : 0;
      row.line.style.setProperty("--depth", `${share}%`);
    });
  }

  drawSpread(bid, ask) {
    if (!bid || !ask) {
      this.spread.textContent = this.levels ? "one side is empty" : "–";
      return;
    }
    const width = toAtoms(ask.price) - toAtoms(bid.price);
    const share = Number((width * 1_000_000n) / toAtoms(ask.price)) / 10_000;
    this.spread.textContent = `spread ${toText(width, this.market.priceDecimals)} (${share.toFixed(3)} %)`;
  }
}

function makeRows(body, style, onPick) {
  return Array.from({ length: ROWS }, () => {
    const line = document.createElement("tr");
    const [price, quantity, sum] = Array.from({ length: 3 }, () => line.insertCell());
    price.className = style;
    line.addEventListener("click", () => price.dataset.price && onPick(price.dataset.price));
    body.append(line);
    return { line, price, quantity, sum };
  });
}
