// The videoroom API of a Janus server: what an app does on the server that Usher has named. Usher has no part in it.

import { createHash } from "node:crypto";

const ANSWER_SECONDS_MAX = 5;
const ROOM_EXISTS = 427;
const NO_SUCH_ROOM = 426;

/** Janus knows rooms by number: the first 48 bits of the name's hash, the same for every app server. */
export const roomNumber = (name) => createHash("sha256").update(name).digest().readUIntBE(0, 6) + 1;

/** Creates a room; one that exists already is as good. */
export const createRoom = (url, name, seats) =>
  ask(url, { request: "create", room: roomNumber(name), description: name, publishers: seats }, ROOM_EXISTS);

/** Destroys a room; one that is gone already is as good. */
export const destroyRoom = (url, name) => ask(url, { request: "destroy", room: roomNumber(name) }, NO_SUCH_ROOM);

export const roomExists = async (url, name) => (await ask(url, { request: "exists", room: roomNumber(name) })).exists;

/** The numbers of all rooms that a server has. */
export const listRooms = async (url) => (await ask(url, { request: "list" })).list.map(({ room }) => room);

/** One question to the videoroom plugin, in a session of its own. */
async function ask(url, body, toleratedError) {
  const session = `${url}/${(await post(url, { janus: "create" })).data.id}`;
  try {
    const handle = (await post(session, { janus: "attach", plugin: "janus.plugin.videoroom" })).data.id;
    const { data } = (await post(`${session}/${handle}`, { janus: "message", body })).plugindata;
    if (data.error_code && data.error_code !== toleratedError) {
      throw new Error(`Janus at ${url} refuses to ${body.request}: ${data.error} (${data.error_code})`);
    }
    return data;
  } finally {
    // A session that stays would be cleaned up by Janus within a minute, so its failing harms nobody.
    await post(session, { janus: "destroy" }).catch(() => {});
  }
}

async function post(url, message) {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify({ ...message, transaction: crypto.randomUUID() }),
    signal: AbortSignal.timeout(ANSWER_SECONDS_MAX * 1000),
  });
  const answer = await response.json();
  if (answer.janus !== "success") throw new Error(`Janus at ${url}: ${answer.error?.reason ?? answer.janus}`);
  return answer;
}
