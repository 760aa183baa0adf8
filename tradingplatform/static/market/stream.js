// One WebSocket that stays, by the rules of docs/WEBSOCKET.md: snapshot and changes, a gap or a
// reset begins anew, a lost connection comes back, silence is stale.

const STALE_MS = 5_000;
const DEAD_MS = 15_000;
const ANSWER_MS = 10_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 15_000;
const FRAMES = new Set(["snapshot", "delta", "update", "heartbeat", "reset"]);

export class StreamError extends Error {
  constructor({ code, message, fields = {}, retry_after: retryAfter = null }) {
    super(message || code);
    this.code = code;
    this.fields = fields;
    this.retryAfter = retryAfter;
  }
}

// A subscription: `handler` has snapshot(data, frame), change(data, frame) and, optionally, lost().
class Channel {
  constructor(handler) {
    this.handler = handler;
    this.epoch = 0;
    this.last = null;
    this.waits = false;
    // Whether what is shown is the newest: false after a lost connection until the server says so.
    this.current = false;
  }

  // Returns true when something was missed and the channel must be subscribed again.
  take(frame) {
    if (this.waits || frame.epoch < this.epoch) return false;
    if (frame.type === "reset") {
      this.epoch = frame.epoch;
      this.last = null;
      this.current = false;
      this.handler.lost?.();
      return false;
    }
    if (frame.type === "snapshot") {
      this.epoch = frame.epoch;
      this.last = frame.seq;
      this.current = true;
      this.handler.snapshot(frame.data, frame);
      return false;
    }
    if (this.last === null) return false;
    if (frame.epoch > this.epoch) return this.missed();
    if (frame.seq <= this.last) {
      this.current ||= frame.type === "heartbeat";
      return false;
    }
    if (frame.type === "heartbeat" || (frame.prev !== undefined && frame.prev > this.last)) return this.missed();
    this.last = frame.seq;
    this.handler.change(frame.data, frame);
    return false;
  }

  missed() {
    this.last = null;
    this.handler.lost?.();
    return true;
  }
}

export class Stream {
  // `token`, an async function, makes the stream a private one: it logs in with each connection,
  // and all its channels are one sequence, from which a lost connection goes on.
  constructor(path, { token = null, onState = () => {} } = {}) {
    this.path = path;
    this.token = token;
    this.onState = onState;
    this.channels = new Map();
    this.state = "closed";
    this.gaps = 0;
    this.pending = new Map();
    this.nextId = 1;
    this.tries = 0;
    this.socket = null;
    this.ready = false;
    this.timer = null;
    this.watch = null;
  }

  open() {
    if (this.socket) return;
    this.setState(this.tries ? "reconnecting" : "connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.path}`);
    this.socket = socket;
    this.heard = Date.now();
    socket.onopen = () => this.greet(socket).catch(() => socket.close());
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = (event) => this.closed(socket, event);
    this.watch ??= setInterval(() => this.look(), 500);
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    this.ready = false;
    clearTimeout(this.timer);
    clearInterval(this.watch);
    this.watch = null;
    this.channels.clear();
    this.fail();
    socket?.close();
    this.setState("closed");
  }

  subscribe(text, handler) {
    const channel = new Channel(handler);
    this.channels.set(text, channel);
    if (this.ready) this.begin([[text, channel]]).catch(() => this.socket?.close());
  }

  unsubscribe(text) {
    if (this.channels.delete(text) && this.ready) this.request("unsubscribe", { channels: [text] }).catch(() => {});
  }

  // Sends an operation; resolves with its answer, rejects with a StreamError.
  request(op, fields = {}, answered = null) {
    const socket = this.socket;
    if (!socket || socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new StreamError({ code: "NOT_CONNECTED", message: "Not connected." }));
    }
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new StreamError({ code: "NO_ANSWER", message: "No answer came in time." }));
      }, ANSWER_MS);
      this.pending.set(id, { resolve, reject, answered, timer });
      socket.send(JSON.stringify({ op, id, ...fields }));
    });
  }

  async greet(socket) {
    if (this.token) await this.request("auth", { token: await this.token() });
    if (socket !== this.socket) return;
    if (this.channels.size) await this.begin([...this.channels]);
    this.ready = true;
    this.tries = 0;
    this.settle();
  }

  // It is live once all that was missed is here.
  settle() {
    const began = this.state !== "live" && this.state !== "stale";
    if (began && this.ready && [...this.channels.values()].every((channel) => channel.current)) this.setState("live");
  }

  // Until the answer, frames still belong to the subscription before; then a snapshot comes, or
  // what was missed if the server still has it.
  begin(subscribed) {
    const entries = this.token ? [...this.channels] : subscribed;
    const place = this.token ? this.place(entries) : null;
    for (const [, channel] of entries) {
      channel.waits = true;
      channel.current = false;
      if (!place) {
        channel.last = null;
        channel.epoch = 0;
      }
    }
    const answered = () => entries.forEach(([, channel]) => { channel.waits = false; });
    return this.request("subscribe", { channels: entries.map(([text]) => text), ...place }, answered);
  }

  place(entries) {
    const epochs = new Set(entries.map(([, channel]) => channel.epoch));
    if (epochs.size !== 1 || entries.some(([, channel]) => channel.last === null)) return null;
    return { from_seq: Math.max(...entries.map(([, channel]) => channel.last)), epoch: [...epochs][0] };
  }

  receive(message) {
    this.heard = Date.now();
    if (this.state === "stale") this.setState("live");
    if (message.channel !== undefined && FRAMES.has(message.type)) {
      const channel = this.channels.get(message.channel);
      if (channel?.take(message)) {
        this.gaps += 1;
        this.begin([[message.channel, channel]]).catch(() => this.socket?.close());
      }
      this.settle();
      return;
    }
    if (message.type === "auth_expired") {
      this.token().then((token) => this.request("auth", { token })).catch(() => this.socket?.close());
    }
    const waiting = this.pending.get(message.id);
    if (!waiting) return;
    this.pending.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.type === "error") {
      waiting.reject(new StreamError(message.error));
    } else {
      waiting.answered?.();
      waiting.resolve(message);
    }
  }

  look() {
    const quiet = Date.now() - this.heard;
    if (!this.socket || !this.channels.size) return;
    if (quiet > DEAD_MS) this.lost(this.socket);
    else if (quiet > STALE_MS && this.state === "live") this.setState("stale");
  }

  closed(socket, event) {
    if (socket === this.socket) this.lost(socket, event.code);
  }

  // A socket whose line is dead may take minutes to say so: it is left behind.
  lost(socket) {
    socket.onclose = socket.onmessage = null;
    socket.close();
    this.socket = null;
    this.ready = false;
    this.fail();
    this.setState("reconnecting");
    // Jitter: whoever was disconnected together does not come back together.
    const bound = Math.min(BACKOFF_FIRST_MS * 2 ** this.tries, BACKOFF_MAX_MS);
    this.tries = Math.min(this.tries + 1, 16);
    this.timer = setTimeout(() => this.open(), bound * (0.5 + Math.random() / 2));
  }

  fail() {
    for (const { reject, timer } of this.pending.values()) {
      clearTimeout(timer);
      reject(new StreamError({ code: "CONNECTION_LOST", message: "The connection was lost." }));
    }
    this.pending.clear();
  }

  setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.onState(state);
  }
}
