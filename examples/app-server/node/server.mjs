// A small app server: `node server.mjs`, then POST, PATCH, DELETE /meetings/{name}. PORT is its port (8080).

import { createServer } from "node:http";
import { close, follow, open } from "./meetings.mjs";
import { roomNumber } from "./janus.mjs";
import { report, UsherProblem } from "./usher.mjs";

const PORT = Number(process.env.PORT ?? 8080);
const BODY_BYTES_MAX = 64 * 1024;

/** What follows the meetings that this process has opened, by name. Who is where, only Usher knows. */
const following = new Map();

const routes = {
  async POST(name, wish) {
    const placed = await open(name, wish);
    const { server, placement } = placed;
    await stopFollowing(name);
    const stop = new AbortController();
    // A real app tells its clients here, so that they join again on the new server.
    const moved = ({ server }) => console.log(`${name} has moved to ${server.name} ${server.url}`);
    following.set(name, { stop, ended: follow(name, placed, moved, stop.signal) });
    return [200, { name, url: server.url, server: server.name, room: roomNumber(name), placement }];
  },
  async PATCH(name, { participants }) {
    const known = await report(name, participants);
    return known ? [200, { name, participants }] : [404, { message: `no meeting ${name}` }];
  },
  async DELETE(name) {
    await stopFollowing(name);
    await close(name);
    return [204];
  },
};

/** Returns when nothing creates the room anew any more. */
async function stopFollowing(name) {
  const { stop, ended } = following.get(name) ?? {};
  following.delete(name);
  stop?.abort();
  await ended;
}

async function answer(request) {
  const name = /^\/meetings\/([A-Za-z0-9._:-]{1,128})$/.exec(request.url)?.[1];
  const route = Object.hasOwn(routes, request.method) && routes[request.method];
  if (!name || !route) return [404, { message: "POST, PATCH or DELETE /meetings/{name}" }];
  try {
    return await route(name, await bodyOf(request));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return [400, { message: error.message }];
    // What Usher refuses for good is the caller's to know; all else is a server's failure.
    const status = error instanceof UsherProblem && error.status >= 400 && error.status < 500 ? error.status : 503;
    return [status, { code: error.code, message: error.message }];
  }
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    if ((text += chunk).length > BODY_BYTES_MAX) throw new RangeError("the body is too large");
  }
  const body = text ? JSON.parse(text) : {};
  if (typeof body !== "object" || body === null) throw new SyntaxError("the body is not a JSON object");
  return body;
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request);
  response.writeHead(status, { "content-type": "application/json" }).end(body && JSON.stringify(body) + "\n");
});
server.listen(PORT, "127.0.0.1", () => console.log(`app server on http://127.0.0.1:${server.address().port}`));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    for (const { stop } of following.values()) stop.abort();
    server.close();
    server.closeIdleConnections();
  });
}
