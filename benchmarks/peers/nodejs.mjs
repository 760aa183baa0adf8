// Runs a flow through nodejs-order-book; the same protocol as worker.py.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const require = createRequire(process.cwd() + "/");
const { OrderBook } = require("nodejs-order-book");
const [preload, timed] = JSON.parse(readFileSync(process.argv[2], "utf8"));
const SECONDS_MAX = 3.0;
const CHUNK = 500;

function apply(book, totals, message) {
  const [kind, id, side, price, size] = message;
  if (kind !== 0) {
    book.cancel(String(id));
    return;
  }
  const result = book.limit({ side: side === 1 ? "buy" : "sell", id: String(id), size, price });
  if (result.err) throw result.err;
  for (const done of result.done) {
    if (done.id !== String(id)) { totals.trades += 1; totals.volume += done.size; }
  }
  if (result.partial && result.partial.id !== String(id)) {
    totals.trades += 1;
    totals.volume += result.partialQuantityProcessed;
  }
}

function run() {
  const book = new OrderBook();
  const totals = { trades: 0, volume: 0 };
  for (const message of preload) apply(book, totals, message);
  let done = 0;
  let seconds = 0;
  const started = process.hrtime.bigint();
  while (done < timed.length && seconds < SECONDS_MAX) {
    for (const message of timed.slice(done, done + CHUNK)) apply(book, totals, message);
    done += CHUNK;
    seconds = Number(process.hrtime.bigint() - started) / 1e9;
  }
  return { messages: Math.min(done, timed.length), seconds, ...totals };
}

console.log("ready");
createInterface({ input: process.stdin }).on("line", () => console.log(JSON.stringify(run())));
