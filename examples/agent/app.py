"""What an app of your own answers to `usher-agent --media http-json`: a stand-in for a mediasoup app, for trying.

GET tells what lives here; POST takes `{"draining": true}` and `{"end_rooms": ["standup-42"]}`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

ROOMS = {"standup-42": 3}


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        rooms = [{"room": room, "participants": people} for room, people in ROOMS.items()]
        self.answer({"rooms": rooms, "figures": {"consumers": 2 * sum(ROOMS.values())}})

    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        print("told:", json.dumps(told), flush=True)
        for room in told.get("end_rooms", []):
            ROOMS.pop(room, None)
        self.answer({})

    def answer(self, page):
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 3000), Agent).serve_forever()
