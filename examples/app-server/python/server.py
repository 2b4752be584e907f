"""A small app server: `python3 server.py`, then POST, PATCH, DELETE /meetings/{name}. PORT is its port (8081)."""

import json
import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import janus
import usher
from meetings import close_meeting, follow_meeting, open_meeting

PORT = int(os.environ.get("PORT", 8081))
BODY_BYTES_MAX = 64 * 1024
MEETING = re.compile(r"/meetings/([A-Za-z0-9._:-]{1,128})")

following = {}
"""What follows the meetings that this process has opened, by name. Who is where, only Usher knows."""
following_lock = threading.Lock()


def post(name, wish):
    placed = open_meeting(name, wish)
    stop = threading.Event()
    follower = threading.Thread(target=follow_meeting, args=(name, placed, lambda placed: moved(name, placed), stop),
                                daemon=True)
    stop_following(name, successor=(stop, follower))
    follower.start()
    server = placed["server"]
    return 200, {"name": name, "url": server["url"], "server": server["name"], "room": janus.room_number(name),
                 "placement": placed["placement"]}


def patch(name, body):
    if usher.report(name, body.get("participants")) is None:
        return 404, {"message": f"no meeting {name}"}
    return 200, {"name": name, "participants": body.get("participants")}


def delete(name, _body):
    stop_following(name)
    close_meeting(name)
    return 204, None


ROUTES = {"POST": post, "PATCH": patch, "DELETE": delete}


def moved(name, placed):
    # A real app tells its clients here, so that they join again on the new server.
    print(f"{name} has moved to {placed['server']['name']} {placed['server']['url']}", flush=True)


def stop_following(name, successor=None):
    """Returns when nothing creates the room anew any more, but for the successor."""
    with following_lock:
        stop, follower = following.pop(name, (None, None))
        if successor:
            following[name] = successor
    if stop:
        stop.set()
        if follower.ident is not None:
            follower.join()


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def answer(self):
        meeting, route = MEETING.fullmatch(self.path), ROUTES.get(self.command)
        length = self.headers.get("content-length") or "0"
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            return 400, {"message": "the body is too large"}
        text = self.rfile.read(int(length))
        if not meeting or not route:
            return 404, {"message": "POST, PATCH or DELETE /meetings/{name}"}
        try:
            body = json.loads(text or "{}")
            if not isinstance(body, dict):
                return 400, {"message": "the body is not a JSON object"}
            return route(meeting[1], body)
        except ValueError as error:
            return 400, {"message": str(error)}
        except usher.UsherProblem as problem:
            # What Usher refuses for good is the caller's to know; all else is a server's failure.
            status = problem.status if 400 <= problem.status < 500 else 503
            return status, {"code": problem.code, "message": str(problem)}
        except janus.JanusError as error:
            return 503, {"message": str(error)}

    def do_POST(self):
        status, body = self.answer()
        text = json.dumps(body).encode() + b"\n" if body is not None else b""
        self.send_response(status)
        if body is not None:
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

    def log_message(self, *_):
        pass


class AppServer(ThreadingHTTPServer):
    daemon_threads = True


if __name__ == "__main__":
    server = AppServer(("127.0.0.1", PORT), Requests)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"app server on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
