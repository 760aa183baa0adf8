// One's own position in a perpetual market, as REST tells it at the present mark.

import { fitting, grouped, trimmed } from "./decimal.js";
import { Press } from "./press.js";

const EVERY_MS = 2_000;

export class Positions {
  constructor({ body, none, market, session, say }) {
    Object.assign(this, { body, none, market, session, say });
    this.press = new Press(body);
    this.timer = null;
  }

  // Profit moves with the mark, so it is asked again and again while somebody looks.
  follow() {
    clearInterval(this.timer);
    this.timer = null;
    this.show([]);
    if (!this.session.active || this.market.kind !== "perpetual") return;
    this.timer = setInterval(() => { if (!document.hidden) this.ask(); }, EVERY_MS);
    this.ask();
  }

  async ask() {
    const answer = await this.session.request("GET", "/api/positions").catch(() => null);
    if (answer && this.session.active) this.show(answer.positions);
  }

  show(positions) {
    if (this.press.down || this.body.contains(document.activeElement)) return;
    this.none.hidden = positions.length > 0;
    this.body.replaceChildren(...positions.map((position) => this.row(position)));
  }

  row(position) {
    const row = document.createElement("tr");
    const cell = (text, style = "") => Object.assign(row.insertCell(), { textContent: text, className: style });
    cell(position.symbol);
    cell(`${position.side} ${position.leverage}x`, position.side === "long" ? "up" : "down");
    cell(trimmed(position.quantity), "number");
    cell(grouped(position.entry_price), "number");
    cell(fitting(position.mark_price), "number wide");
    cell(position.liquidation_price ? grouped(position.liquidation_price) : "–", "number wide");
    const loss = position.unrealised_profit.startsWith("-");
    const profit = fitting(position.unrealised_profit.replace("-", ""));
    cell(`${loss ? "-" : "+"}${profit} ${position.currency}`, `number ${loss ? "down" : "up"}`);
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet", textContent: "Close" });
    button.setAttribute("aria-label", `Close the ${position.side} position in ${position.symbol} at the market`);
    button.addEventListener("click", () => this.close(button, position));
    cell("", "number").append(button);
    return row;
  }

  async close(button, position) {
    button.disabled = true;
    try {
      await this.session.request("POST", `/api/positions/${position.id}/close`, {});
    } catch (error) {
      this.say(`${error.message} (${error.code})`);
    }
    button.blur();
    await this.ask();
  }
}
