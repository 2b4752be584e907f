"""Takes what Usher's webhook sends, checks that it is Usher who sends it, and says where rooms are now.

    python3 receiver.py webhook.secret 8090
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open(sys.argv[1], encoding="ascii") as file:
    SECRET = base64.b64decode(file.read().split()[0].removeprefix("whsec_"))

seen = set()  # an app keeps the ids of, say, the last day


def is_from_usher(headers, body):
    call, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent.isdigit() or abs(time.time() - int(sent)) > 300:
        return False  # somebody sends again what he has overheard
    signed = hmac.digest(SECRET, f"{call}.{sent}.".encode() + body, hashlib.sha256)
    wanted = "v1," + base64.b64encode(signed).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(wanted.encode(), one.encode()) for one in given)


def heed(event):
    if event["type"] == "server.lost":
        for room in event["moved"]:
            home = room["server"]["url"] if room["server"] else "waiting for a server"
            print(f"{event['server']} was lost, {room['room']} is now: {home}", flush=True)
    elif event["type"] == "room.moved" and "to" in event:
        print(f"{event['room']} is now: {event.get('url')}", flush=True)
    else:
        print(f"{event['type']}: {event.get('reason', '')}", flush=True)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not is_from_usher(self.headers, body):
            return self.answer(401)
        for event in json.loads(body)["events"]:
            if event["id"] not in seen:  # an event may come twice
                heed(event)
                seen.add(event["id"])
        self.answer(204)  # anything but 2xx, and Usher calls again

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver).serve_forever()
