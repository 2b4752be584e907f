// Usher from Node: a server for a room, and giving it back. Copy this file into your app: Node 20, no packages.

const USHER_URL = (process.env.USHER_URL ?? "http://127.0.0.1:7070").replace(/\/$/, "");
const USHER_TOKEN = process.env.USHER_TOKEN;

const WAIT_SECONDS = 30; // of one long poll; Usher allows 60
const PATIENCE_SECONDS = 300; // of one call in all: a server boots meanwhile
const ANSWER_SECONDS_MAX = 10; // on top of the long poll
const BACKOFF_SECONDS_MAX = 5; // between two attempts, unless Usher says how long

/** Usher's own "no" (RFC 9457): `code` is stable, for example `room_taken`; `message` is for humans. */
export class UsherProblem extends Error {
  constructor(status, { code = "unknown", title = "no reason given", detail } = {}) {
    super(`${code}: ${detail ?? title}`);
    Object.assign(this, { status, code });
  }
}

/**
 * Places a room, or finds it where it is: answers `{placement, server: {name, url, …}, …}` once it has a server. Throws
 * `still_waiting` when patience ends first: the room keeps its place in the queue, so ask again, or release it.
 */
export async function place(room, wish = {}, patienceSeconds = PATIENCE_SECONDS) {
  const deadline = Date.now() + patienceSeconds * 1000;
  let answer = await call("PUT", path(room), wish, deadline);
  while (answer.state !== "placed") {
    if (Date.now() > deadline) throw new UsherProblem(202, { code: "still_waiting", detail: `no server for ${room}` });
    answer = await call("GET", `${path(room)}?wait_seconds=${waitSeconds(deadline)}`, undefined, deadline);
    // It gave up waiting there (`expired`), but we have not here: it queues anew.
    if (!answer || answer.state === "expired" || answer.state === "released") {
      answer = await call("PUT", path(room), wish, deadline);
    }
  }
  return answer;
}

/** What Usher knows of a room now, or null. */
export const read = (room) => call("GET", path(room), undefined, Date.now() + ANSWER_SECONDS_MAX * 1000);

/** Says how many are in the room. It also renews the room's lease. Answers null when Usher no longer knows the room. */
export const report = (room, participants) =>
  call("PATCH", path(room), { participants }, Date.now() + ANSWER_SECONDS_MAX * 1000);

/** Gives the room's place back; with `placement`, only if it is that placement and no newer one. Safe to repeat. */
export function release(room, placement) {
  const query = placement ? `?placement=${placement}` : "";
  return call("DELETE", path(room) + query, undefined, Date.now() + PATIENCE_SECONDS * 1000);
}

const path = (room) => `/v1/rooms/${encodeURIComponent(room)}`;
const waitSeconds = (deadline) => Math.min(WAIT_SECONDS, Math.max(1, Math.floor((deadline - Date.now()) / 1000)));

/** One call, tried until it is answered or the deadline comes. Usher knows a room by its name: all may be repeated. */
async function call(method, path, body, deadline) {
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (USHER_TOKEN) headers.authorization = `Bearer ${USHER_TOKEN}`;
  for (let attempt = 0; ; attempt++) {
    let problem;
    let retryAfterSeconds = Math.min(BACKOFF_SECONDS_MAX, 0.2 * 2 ** attempt);
    try {
      const response = await fetch(USHER_URL + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout((WAIT_SECONDS + ANSWER_SECONDS_MAX) * 1000),
      });
      const answer = await response.json().catch(() => ({}));
      if (response.ok) return answer;
      if (response.status === 404 && method !== "PUT") return null;
      problem = new UsherProblem(response.status, answer);
      if (response.status < 500 && response.status !== 429) throw problem;
      retryAfterSeconds = Number(response.headers.get("retry-after")) || retryAfterSeconds;
    } catch (error) {
      if (error instanceof UsherProblem) throw error;
      const detail = `${USHER_URL}: ${error.cause?.message ?? error.message}`;
      problem = new UsherProblem(0, { code: "unreachable", detail });
    }
    // Jitter, so that all who were turned away at once do not come back at once.
    const pauseMs = retryAfterSeconds * 1000 * (1 + Math.random() / 2);
    if (Date.now() + pauseMs > deadline) throw problem;
    await new Promise((wake) => setTimeout(wake, pauseMs));
  }
}
