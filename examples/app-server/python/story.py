"""The story: many rooms at once. `python3 story.py --rooms 23 --hold-seconds 2` places them, looks on each Janus if its
room is really there, holds them while it follows moved ones, and releases all. The last line is a JSON summary."""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import janus
import usher
from meetings import close_meeting, follow_meeting, open_meeting

ROOMS_MAX = 500
"""A room is a thread here."""


class Story:
    """What happened to each room."""

    def __init__(self, seats):
        self.seats = seats
        self.failures = []
        self.moved = 0

    def begin(self, name):
        """Opens a meeting and verifies it: its name, placement and seconds, or None when it failed."""
        started = time.monotonic()
        try:
            placed = open_meeting(name, {"seats": self.seats})
            seconds = round(time.monotonic() - started, 3)
            verify(name, placed)
        except (usher.UsherProblem, janus.JanusError) as error:
            return self.fail(name, error)
        server, reason = placed["server"], (placed.get("decision") or {}).get("reason", "")
        say(f"{name} on {server['name']} {server['url']} after {seconds:.1f} s: {reason}")
        return name, placed, seconds

    def hold(self, name, placed, stop):
        """Reports the participants once, then follows the room."""
        try:
            usher.report(name, 2)
        except usher.UsherProblem as error:
            self.fail(name, error)
        follow_meeting(name, placed, lambda placed: self.follow(name, placed), stop)

    def follow(self, name, placed):
        self.moved += 1
        say(f"{name} has moved to {placed['server']['name']} {placed['server']['url']}")
        try:
            verify(name, placed)
        except janus.JanusError as error:
            self.fail(name, error)

    def end(self, name):
        """Closes a meeting; says whether it is released."""
        try:
            close_meeting(name)
            return True
        except usher.UsherProblem as error:
            self.fail(name, error)
            return False

    def fail(self, name, error):
        self.failures.append({"room": name, "message": str(error)})
        say(f"{name} FAILED: {error}")


def verify(name, placed):
    server = placed["server"]
    if not janus.room_exists(server["url"], name):
        raise janus.JanusError(f"{name} does not exist on {server['name']}")
    if janus.room_number(name) not in janus.list_rooms(server["url"]):
        raise janus.JanusError(f"{server['name']} does not list {name}")


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rooms", type=int, default=23)
    options.add_argument("--seats", type=int, default=6)
    options.add_argument("--hold-seconds", type=float, default=2)
    options.add_argument("--prefix", default="story")
    chosen = options.parse_args()
    if not 1 <= chosen.rooms <= ROOMS_MAX:
        options.error(f"--rooms: 1 to {ROOMS_MAX}")

    story = Story(chosen.seats)
    names = [f"{chosen.prefix}-{number}" for number in range(1, chosen.rooms + 1)]
    stop = threading.Event()
    with ThreadPoolExecutor(chosen.rooms) as rooms:
        opened = [meeting for meeting in rooms.map(story.begin, names) if meeting]
        held = [rooms.submit(story.hold, name, placed, stop) for name, placed, _ in opened]
        time.sleep(chosen.hold_seconds)
        stop.set()
        for holding in held:
            holding.result()
        # All names, also those that failed: one of them may have been placed after we gave up.
        released = sum(rooms.map(story.end, names))

    say(json.dumps({
        "rooms": len(opened),
        "servers": Counter(placed["server"]["name"] for _, placed, _ in opened),
        "moved": story.moved,
        "released": released,
        "longest_wait_seconds": max((seconds for _, _, seconds in opened), default=0),
        "failures": story.failures,
    }))
    return 1 if story.failures else 0


if __name__ == "__main__":
    sys.exit(main())
