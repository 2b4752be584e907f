"""Usher from Python: a server for a room, and giving it back. Copy this file into your app; it needs nothing else."""

import json
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request

USHER_URL = os.environ.get("USHER_URL", "http://127.0.0.1:7070").rstrip("/")
USHER_TOKEN = os.environ.get("USHER_TOKEN")

WAIT_SECONDS = 30  # of one long poll; Usher allows 60
PATIENCE_SECONDS = 300  # of one call in all: a server boots meanwhile
ANSWER_SECONDS_MAX = 10  # on top of the long poll
BACKOFF_SECONDS_MAX = 5  # between two attempts, unless Usher says how long


class UsherProblem(Exception):
    """Usher's own "no" (RFC 9457): `code` is stable, for example `room_taken`; the text is for humans."""

    def __init__(self, status, code="unknown", title="no reason given", detail=None, **_more):
        super().__init__(f"{code}: {detail or title}")
        self.status, self.code = status, code


def place(room, wish=None, patience_seconds=PATIENCE_SECONDS):
    """Places a room, or finds it where it is: `{"placement", "server": {"name", "url", …}, …}` once it has a server.

    Raises `still_waiting` when patience ends first: the room keeps its place in the queue, so ask again, or release it.
    """
    deadline = time.monotonic() + patience_seconds
    answer = call("PUT", path(room), wish or {}, deadline)
    while answer["state"] != "placed":
        left = deadline - time.monotonic()
        if left < 0:
            raise UsherProblem(202, "still_waiting", detail=f"{room} has no server yet")
        wait = min(WAIT_SECONDS, max(1, int(left)))
        answer = call("GET", f"{path(room)}?wait_seconds={wait}", None, deadline)
        # It gave up waiting there (`expired`), but we have not here: it queues anew.
        if answer is None or answer["state"] in ("expired", "released"):
            answer = call("PUT", path(room), wish or {}, deadline)
    return answer


def read(room):
    """What Usher knows of a room now, or None."""
    return call("GET", path(room), None, time.monotonic() + ANSWER_SECONDS_MAX)


def report(room, participants):
    """Says how many are in the room. It also renews the room's lease. None when Usher no longer knows the room."""
    return call("PATCH", path(room), {"participants": participants}, time.monotonic() + ANSWER_SECONDS_MAX)


def release(room, placement=None):
    """Gives the room's place back; with `placement`, only if it is that placement and no newer one. Safe to repeat."""
    query = f"?placement={placement}" if placement else ""
    call("DELETE", path(room) + query, None, time.monotonic() + PATIENCE_SECONDS)


def path(room):
    return f"/v1/rooms/{urllib.parse.quote(room, safe='')}"


def call(method, path, body, deadline):
    """One call, tried until it is answered or the deadline comes. Usher knows a room by its name: all is repeatable."""
    headers = {"content-type": "application/json"} if body is not None else {}
    if USHER_TOKEN:
        headers["authorization"] = f"Bearer {USHER_TOKEN}"
    data = json.dumps(body).encode() if body is not None else None
    backoff_seconds = 0.2
    while True:
        request = urllib.request.Request(USHER_URL + path, data, headers, method=method)
        retry_after_seconds = backoff_seconds
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS + ANSWER_SECONDS_MAX) as response:
                return json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            if error.code == 404 and method != "PUT":
                return None
            problem = UsherProblem(**{**problem_in(error), "status": error.code})
            if error.code < 500 and error.code != 429:
                raise problem from None
            retry_after_seconds = float(error.headers.get("retry-after") or backoff_seconds)
        except (OSError, ValueError, urllib.error.URLError) as error:
            problem = UsherProblem(0, "unreachable", detail=f"{USHER_URL}: {error}")
        # Jitter, so that all who were turned away at once do not come back at once.
        pause_seconds = retry_after_seconds * random.uniform(1, 1.5)
        if time.monotonic() + pause_seconds > deadline:
            raise problem
        time.sleep(pause_seconds)
        backoff_seconds = min(BACKOFF_SECONDS_MAX, backoff_seconds * 2)


def problem_in(error):
    """The problem document of an answer; empty when a proxy answered with something else."""
    try:
        document = json.loads(error.read())
        return document if isinstance(document, dict) else {}
    except (OSError, ValueError):
        return {}
