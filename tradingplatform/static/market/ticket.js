// The order ticket: what a type needs, what it will cost, and what the exchange says to it.

import { fitting, floorTo, grouped, over, times, toAtoms, toText, trimmed, ATOMS } from "./decimal.js";

const NEEDS = {
  limit: ["price", "quantity"],
  market: ["quantity"],
  stop_loss: ["trigger_price", "quantity"],
  stop_loss_limit: ["trigger_price", "price", "quantity"],
  take_profit: ["trigger_price", "quantity"],
};
const RESTING = new Set(["limit", "stop_loss_limit"]);
const PREVIEW_AFTER_MS = 400;
const FIELD_WORDS = {
  REQUIRED: "is needed", INVALID_DECIMAL: "must be a number like 0.01", TOO_MANY_DECIMALS: "has too many decimals",
  OUT_OF_RANGE: "is out of range",
};

export class Ticket {
  constructor(form, { market, available, reference, place, preview }) {
    Object.assign(this, { form, market, available, reference, place, preview });
    this.fee = 0n;
    this.message = form.querySelector("[data-role=message]");
    this.button = form.querySelector("button[type=submit]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    form.addEventListener("input", (event) => {
      event.target.removeAttribute("aria-invalid");
      this.say("");
      this.show();
      this.look();
    });
    form.addEventListener("keydown", (event) => this.step(event));
    for (const button of form.querySelectorAll("[data-share]")) {
      button.addEventListener("click", () => this.size(BigInt(button.dataset.share)));
    }
    this.show();
  }

  get side() {
    return this.form.elements.side.value;
  }

  get type() {
    return this.form.elements.type.value;
  }

  choose(side) {
    this.form.elements.side.value = side;
    this.show();
  }

  pick(price) {
    const field = NEEDS[this.type].includes("price") ? "price" : "trigger_price";
    if (NEEDS[this.type].includes(field)) this.form.elements[field].value = price;
    this.show();
    this.look();
  }

  // Shows the fields of the type, the button of the side, and what the order comes to.
  show() {
    const needs = NEEDS[this.type];
    for (const field of this.form.querySelectorAll("[data-field]")) {
      field.hidden = !needs.includes(field.dataset.field);
    }
    const rests = RESTING.has(this.type);
    this.form.querySelector("[data-role=options]").hidden = !rests;
    this.button.textContent = `${this.side === "buy" ? "Buy" : "Sell"} ${this.market.base}`;
    this.button.dataset.side = this.side;
    const currency = this.paysInQuote() ? this.market.quote : this.market.base;
    this.form.querySelector("[data-role=available]").textContent = `${fitting(this.available(currency))} ${currency}`;
    this.showTotal();
  }

  showTotal() {
    const price = this.price();
    const quantity = toAtoms(this.form.elements.quantity.value);
    const total = price && quantity ? toText(times(price, quantity), this.market.priceDecimals) : null;
    this.form.querySelector("[data-role=total]").textContent = total ? `${grouped(total)} ${this.market.quote}` : "–";
  }

  // The price an order would be carried out at, as far as that is known; null when it is not.
  price() {
    const needs = NEEDS[this.type];
    if (needs.includes("price")) return toAtoms(this.form.elements.price.value);
    if (needs.includes("trigger_price")) return toAtoms(this.form.elements.trigger_price.value);
    return toAtoms(this.reference(this.side));
  }

  // A perpetual market is margined in its quote currency on both sides.
  paysInQuote() {
    return this.side === "buy" || this.market.kind === "perpetual";
  }

  // Sizes the order to a share (percent) of what is available, fee included, on the lot.
  size(share) {
    const price = this.price();
    let quantity = null;
    if (!this.paysInQuote()) {
      quantity = (toAtoms(this.available(this.market.base)) * share) / 100n;
    } else if (price) {
      const money = (toAtoms(this.available(this.market.quote)) * share) / 100n;
      quantity = over(over(money, ATOMS + this.fee), price);
    }
    if (quantity === null) return this.say("Enter a price first.", true);
    this.form.elements.quantity.value = toText(floorTo(quantity, this.market.lotAtoms), this.market.quantityDecimals);
    this.look();
    return this.show();
  }

  // Arrow keys move a price by a tick, a quantity by a lot; with Shift by ten.
  step(event) {
    const direction = { ArrowUp: 1n, ArrowDown: -1n }[event.key];
    const unit = { price: this.market.tickAtoms, trigger_price: this.market.tickAtoms, quantity: this.market.lotAtoms }[event.target.name];
    if (!direction || !unit) return;
    event.preventDefault();
    const empty = event.target.name === "quantity" ? "0" : this.reference(this.side);
    const value = toAtoms(event.target.value || empty) ?? 0n;
    const next = value + direction * unit * (event.shiftKey ? 10n : 1n);
    const decimals = event.target.name === "quantity" ? this.market.quantityDecimals : this.market.priceDecimals;
    event.target.value = toText(next > 0n ? next : 0n, decimals);
    this.show();
    this.look();
  }

  // Asks, once the hand rests, what the order would do if it were placed now.
  look() {
    const place = this.form.querySelector("[data-role=preview]");
    place.textContent = "";
    clearTimeout(this.looking);
    const order = this.order();
    if (NEEDS[this.type].some((name) => toAtoms(order[name]) === null)) return;
    this.looking = setTimeout(async () => {
      const answer = await this.preview(order).catch(() => null);
      if (answer && JSON.stringify(order) === JSON.stringify(this.order())) place.textContent = foretold(answer, this.market);
    }, PREVIEW_AFTER_MS);
  }

  order() {
    const order = { symbol: this.market.symbol, side: this.side, type: this.type };
    for (const name of NEEDS[this.type]) order[name] = this.form.elements[name].value.trim();
    if (RESTING.has(this.type)) {
      order.time_in_force = this.form.elements.time_in_force.value;
      if (this.form.elements.post_only.checked) order.post_only = true;
    }
    return order;
  }

  async submit() {
    const order = this.order();
    const empty = NEEDS[this.type].filter((name) => toAtoms(order[name]) === null);
    if (empty.length) return this.refuse({ fields: Object.fromEntries(empty.map((name) => [name, order[name] ? "INVALID_DECIMAL" : "REQUIRED"])) });
    this.button.disabled = true;
    this.say("Sending …");
    try {
      this.say(told(await this.place(order), this.market));
    } catch (error) {
      this.refuse(error);
    } finally {
      this.button.disabled = false;
    }
    return null;
  }

  refuse(error) {
    const fields = Object.entries(error.fields ?? {}).filter(([name]) => this.form.elements[name]);
    for (const [name] of fields) this.form.elements[name].setAttribute("aria-invalid", "true");
    if (fields.length) {
      this.form.elements[fields[0][0]].focus();
      const [name, code] = fields[0];
      return this.say(`${name.replace("_", " ")} ${FIELD_WORDS[code] ?? code}`, true);
    }
    return this.say(error.code ? `${error.message} (${error.code})` : String(error.message), true);
  }

  say(text, bad = false) {
    this.message.textContent = text;
    this.message.classList.toggle("down", bad);
  }
}

// What an order would do, in one line.
function foretold(preview, market) {
  if (!preview.accepted) return `Would be refused: ${preview.refusal.message}`;
  if (Number(preview.filled_quantity) === 0) return preview.status === "open" ? "Would rest in the book" : `Would be ${preview.status}`;
  const rest = Number(preview.remaining_quantity) ? `, ${trimmed(preview.remaining_quantity)} ${preview.status === "partially_filled" ? "rests" : "expires"}` : "";
  return `Would fill ${trimmed(preview.filled_quantity)} ${market.base} at ${grouped(preview.average_price)}${rest}; fee ${grouped(trimmed(preview.fee))} ${preview.fee_currency}`;
}

// What became of an order, in one line.
function told(order, market) {
  const did = order.side === "buy" ? "Bought" : "Sold";
  if (order.status === "filled") return `${did} ${trimmed(order.filled_quantity)} ${market.base} at ${grouped(order.average_price)}`;
  if (order.status === "open") return "Order is in the book";
  if (order.status === "untriggered") return "Order waits for its trigger";
  if (order.status === "partially_filled") return `${did} ${trimmed(order.filled_quantity)}, the rest is in the book`;
  return `${Number(order.filled_quantity) ? `${did} ${trimmed(order.filled_quantity)}; the rest` : "Order"} ${order.status}: ${order.reason}`;
}
