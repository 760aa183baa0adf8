// Candles with volume; the history by REST, the candle now being built by WebSocket.

import {
  CandlestickSeries, ColorType, CrosshairMode, HistogramSeries, LineStyle, createChart,
} from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { send } from "./session.js";

const HISTORY = 500;

export class Chart {
  constructor(place, { market, stream }) {
    this.market = market;
    this.stream = stream;
    this.channel = null;
    this.lines = new Map();
    this.chart = createChart(place, { autoSize: true, crosshair: { mode: CrosshairMode.Normal } });
    this.candles = this.chart.addSeries(CandlestickSeries, {
      priceFormat: { type: "price", precision: market.priceDecimals, minMove: Number(market.tick) },
    });
    this.volume = this.chart.addSeries(HistogramSeries, { priceScaleId: "", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.dress();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.dress());
  }

  // Takes the colours of the page, which follow the visitor's preference.
  dress() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    this.colors = { up: color("--up"), down: color("--down"), upSoft: color("--up-soft"), downSoft: color("--down-soft") };
    this.chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: color("--panel") },
        textColor: color("--muted"), fontFamily: getComputedStyle(document.body).fontFamily, attributionLogo: true,
      },
      grid: { vertLines: { color: color("--line") }, horzLines: { color: color("--line") } },
      rightPriceScale: { borderColor: color("--line") },
      timeScale: { borderColor: color("--line"), timeVisible: true, secondsVisible: false, tickMarkFormatter: tick },
      localization: { timeFormatter: (seconds) => new Date(seconds * 1000).toLocaleString([], { hour12: false }) },
    });
    this.candles.applyOptions({
      upColor: this.colors.up, downColor: this.colors.down, borderVisible: false,
      wickUpColor: this.colors.up, wickDownColor: this.colors.down,
    });
    if (this.bars) this.volume.setData(this.bars.map((bar) => this.volumeOf(bar)));
  }

  async show(interval) {
    if (this.channel) this.stream.unsubscribe(this.channel);
    this.interval = interval;
    this.bars = null;
    this.channel = `kline:${this.market.symbol}:${interval}`;
    // Every snapshot, also after a reconnect, may follow candles that were missed.
    this.stream.subscribe(this.channel, {
      snapshot: (data) => this.load(interval, data),
      change: (data) => this.update(data),
    });
  }

  async load(interval, live) {
    const path = `/api/markets/${encodeURIComponent(this.market.symbol)}/klines?interval=${interval}&limit=${HISTORY}`;
    const answer = await send("GET", path).catch(() => null);
    if (!answer || interval !== this.interval) return;
    const fresh = this.bars === null;
    this.bars = answer.klines.filter((bar) => bar.open !== null);
    this.candles.setData(this.bars.map(candle));
    this.volume.setData(this.bars.map((bar) => this.volumeOf(bar)));
    if (live) this.update(live);
    if (fresh) this.chart.timeScale().setVisibleLogicalRange({ from: this.bars.length - 110, to: this.bars.length + 4 });
  }

  update(bar) {
    if (!this.bars || bar.open === null || bar.open_time === null) return;
    const last = this.bars.at(-1);
    if (last && bar.open_time < last.open_time) return;
    if (last && bar.open_time === last.open_time) this.bars[this.bars.length - 1] = bar;
    else this.bars.push(bar);
    this.candles.update(candle(bar));
    this.volume.update(this.volumeOf(bar));
  }

  volumeOf(bar) {
    const color = Number(bar.close) >= Number(bar.open) ? this.colors.upSoft : this.colors.downSoft;
    return { time: bar.open_time / 1000, value: Number(bar.volume), color };
  }

  // Own open orders as lines.
  mark(orders) {
    for (const [id, line] of this.lines) {
      if (!orders.has(id)) {
        this.candles.removePriceLine(line);
        this.lines.delete(id);
      }
    }
    for (const order of orders.values()) {
      const price = order.price ?? order.trigger_price;
      if (order.symbol !== this.market.symbol || price === null) continue;
      const options = {
        price: Number(price), color: order.side === "buy" ? this.colors.up : this.colors.down,
        lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true, title: `${order.side} ${order.remaining_quantity}`,
      };
      const line = this.lines.get(order.id);
      if (line) line.applyOptions(options);
      else this.lines.set(order.id, this.candles.createPriceLine(options));
    }
  }
}

function candle(bar) {
  return { time: bar.open_time / 1000, open: Number(bar.open), high: Number(bar.high), low: Number(bar.low), close: Number(bar.close) };
}

// The library counts in UTC; labels are the visitor's time.
function tick(seconds, kind) {
  const moment = new Date(seconds * 1000);
  if (kind >= 3) return moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  return moment.toLocaleDateString([], kind === 0 ? { year: "numeric" } : { month: "short", day: "numeric" });
}
