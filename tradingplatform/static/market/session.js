// Who is logged in. Tokens live in this page's memory alone: closing it ends the login here, and
// no other page or script can read them from storage.

const RENEW_BEFORE_MS = 10_000;

export class ApiError extends Error {
  constructor(status, { code, message, fields = {} }) {
    super(message || code);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

export class Session {
  constructor(onChange) {
    this.onChange = onChange;
    this.tokens = null;
    this.user = null;
    this.renewing = null;
  }

  get active() {
    return this.tokens !== null;
  }

  // Resolves with a challenge when the user has a second factor: `complete` takes it with a code.
  async login(username, password) {
    const answer = await send("POST", "/api/auth/login", { username, password });
    if (answer.challenge) return answer.challenge;
    this.begin(answer);
    return null;
  }

  async complete(challenge, code) {
    this.begin(await send("POST", "/api/auth/login/2fa", { challenge, code }));
  }

  begin(answer) {
    this.keep(answer);
    this.user = answer.user;
    this.onChange();
  }

  async logout() {
    const token = this.tokens?.access;
    this.end();
    if (token) await send("POST", "/api/auth/logout", {}, token).catch(() => {});
  }

  end() {
    this.tokens = null;
    this.user = null;
    this.onChange();
  }

  keep(answer) {
    this.tokens = {
      access: answer.access_token,
      refresh: answer.refresh_token,
      endsAt: Date.now() + answer.expires_in * 1000,
    };
  }

  // Returns a token that is good for a while. A refresh token works once, so only one renewal
  // may be under way.
  async token() {
    if (!this.tokens) throw new ApiError(401, { code: "NOT_AUTHENTICATED", message: "Log in first." });
    if (Date.now() > this.tokens.endsAt - RENEW_BEFORE_MS) {
      this.renewing ??= this.renew().finally(() => { this.renewing = null; });
      await this.renewing;
    }
    return this.tokens.access;
  }

  async renew() {
    try {
      this.keep(await send("POST", "/api/auth/refresh", { refresh_token: this.tokens.refresh }));
    } catch (error) {
      if (error.status === 401) this.end();
      throw error;
    }
  }

  async request(method, path, body) {
    return send(method, path, body, await this.token());
  }
}

// Sends a request; throws an ApiError with the platform's code.
export async function send(method, path, body, token) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "omit",
  });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : {};
  if (!response.ok) throw new ApiError(response.status, answer.error ?? { code: `HTTP_${response.status}` });
  return answer;
}
