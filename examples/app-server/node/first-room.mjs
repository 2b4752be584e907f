const url = `${process.env.USHER_URL ?? "http://127.0.0.1:7070"}/v1/rooms/standup-42`;
const headers = { "content-type": "application/json" };
const answer = await fetch(url, { method: "PUT", headers, body: JSON.stringify({ seats: 6 }) });
let room = await answer.json();
if (!answer.ok) throw new Error(`${room.code}: ${room.detail}`); // such as room_taken
while (room.state === "waiting") { // a server is being launched for it
  room = await (await fetch(`${url}?wait_seconds=30`)).json();
}
console.log(`${room.room} is on ${room.server.name}: ${room.server.url}`);
// Create the room there with the media server's own API, hold the meeting, and say how many came:
await fetch(url, { method: "PATCH", headers, body: JSON.stringify({ participants: 2 }) });
await fetch(`${url}?placement=${room.placement}`, { method: "DELETE" });
