// The story: many rooms at once. `node story.mjs --rooms 23 --hold-seconds 2` places them, looks on each Janus whether
// its room is really there, holds them while it follows moved ones, and releases all. The last line is a JSON summary.

import { parseArgs } from "node:util";
import { close, follow, open, pause } from "./meetings.mjs";
import { listRooms, roomExists, roomNumber } from "./janus.mjs";
import { report } from "./usher.mjs";

const { values } = parseArgs({
  options: {
    rooms: { type: "string", default: "23" },
    seats: { type: "string", default: "6" },
    "hold-seconds": { type: "string", default: "2" },
    prefix: { type: "string", default: "story" },
  },
});
const names = Array.from({ length: Number(values.rooms) }, (_, index) => `${values.prefix}-${index + 1}`);
const failures = [];
let moved = 0;

/** Opens a meeting and verifies it; answers `{name, placed, seconds}`, or nothing when it failed. */
async function begin(name) {
  const started = Date.now();
  try {
    const placed = await open(name, { seats: Number(values.seats) });
    const seconds = (Date.now() - started) / 1000;
    await verify(name, placed);
    const { server, decision } = placed;
    console.log(`${name} on ${server.name} ${server.url} after ${seconds.toFixed(1)} s: ${decision?.reason ?? ""}`);
    return { name, placed, seconds };
  } catch (error) {
    fail(name, error);
  }
}

async function verify(name, { server }) {
  if (!(await roomExists(server.url, name))) throw new Error(`${name} does not exist on ${server.name}`);
  const rooms = await listRooms(server.url);
  if (!rooms.includes(roomNumber(name))) throw new Error(`${server.name} does not list ${name}`);
}

function fail(name, error) {
  failures.push({ room: name, message: error.message });
  console.log(`${name} FAILED: ${error.message}`);
}

const opened = (await Promise.all(names.map(begin))).filter(Boolean);
const servers = {};
for (const { placed } of opened) servers[placed.server.name] = (servers[placed.server.name] ?? 0) + 1;

const stops = opened.map(() => new AbortController());
const following = opened.map(({ name, placed }, index) => {
  const onMoved = async (placed) => {
    moved += 1;
    console.log(`${name} has moved to ${placed.server.name} ${placed.server.url}`);
    await verify(name, placed).catch((error) => fail(name, error));
  };
  return follow(name, placed, onMoved, stops[index].signal);
});
await Promise.all(opened.map(({ name }) => report(name, 2).catch((error) => fail(name, error))));
await pause(Number(values["hold-seconds"]));
for (const stop of stops) stop.abort();
await Promise.all(following);

// All names, also those that failed: one of them may have been placed after we gave up.
let released = 0;
await Promise.all(names.map((name) => close(name).then(() => released++, (error) => fail(name, error))));

const waits = opened.map(({ seconds }) => seconds);
console.log(JSON.stringify({
  rooms: opened.length, servers, moved, released, longest_wait_seconds: Math.max(0, ...waits), failures,
}));
process.exitCode = failures.length === 0 ? 0 : 1;
