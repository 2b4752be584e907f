// A meeting is a room that Usher has placed and that exists on its Janus. Opens, follows and closes them.

import { setTimeout } from "node:timers/promises";
import { place, read, release } from "./usher.mjs";
import { createRoom, destroyRoom } from "./janus.mjs";

const OPEN_SECONDS_MAX = 300; // placing and creating together
const RETRY_SECONDS = 1; // a Janus that does not answer: Usher finds out too, and moves the room
const FOLLOW_SECONDS = 3; // how often a placed room is looked at
const SEATS_DEFAULT = 6;

/** Opens a meeting: answers Usher's placement once the room exists on the Janus that it names. */
export async function open(name, wish = {}) {
  const deadline = Date.now() + OPEN_SECONDS_MAX * 1000;
  for (;;) {
    const placed = await place(name, { seats: SEATS_DEFAULT, ...wish }, (deadline - Date.now()) / 1000);
    try {
      await createRoom(placed.server.url, name, placed.seats);
      return placed;
    } catch (error) {
      // Its server may have died since: asking again tells where the room is by then.
      if (Date.now() > deadline) throw error;
      await pause(RETRY_SECONDS);
    }
  }
}

/** Closes a meeting: on its Janus first, so that Usher never counts a place as free that is still in use. */
export async function close(name) {
  const room = await read(name);
  if (!room) return;
  // A server that has gone took the room with it; releasing must work all the same.
  if (room.server) await destroyRoom(room.server.url, name).catch(() => {});
  await release(name, room.placement);
}

/**
 * Follows a meeting until `signal` aborts or Usher knows it no more. When its server is lost, Usher places the room on
 * another, with a higher `placement`; the room is created there, and `onMoved(placed)` may send everybody after it.
 */
export async function follow(name, placed, onMoved, signal) {
  while (!signal.aborted) {
    await pause(FOLLOW_SECONDS * (0.8 + Math.random() * 0.4), signal);
    try {
      const room = await read(name);
      if (!room) return;
      if (room.state === "placed" && room.placement > placed.placement && !signal.aborted) {
        await createRoom(room.server.url, name, room.seats);
        placed = room;
        await onMoved(placed);
      }
    } catch {
      // Usher or the new server does not answer just now: nothing is decided by that, the next look tells.
    }
  }
}

/** Waits, but no longer than until `signal` aborts. */
export const pause = (seconds, signal) => setTimeout(seconds * 1000, undefined, { signal }).catch(() => {});
