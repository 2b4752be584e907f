"""A meeting is a room that Usher has placed and that exists on its Janus. Opens, follows and closes them."""

import random
import time

import janus
import usher

OPEN_SECONDS_MAX = 300  # placing and creating together
RETRY_SECONDS = 1  # a Janus that does not answer: Usher finds out too, and moves the room
FOLLOW_SECONDS = 3  # how often a placed room is looked at
SEATS_DEFAULT = 6


def open_meeting(name, wish=None):
    """Opens a meeting: answers Usher's placement once the room exists on the Janus that it names."""
    deadline = time.monotonic() + OPEN_SECONDS_MAX
    while True:
        placed = usher.place(name, {"seats": SEATS_DEFAULT, **(wish or {})}, deadline - time.monotonic())
        try:
            janus.create_room(placed["server"]["url"], name, placed["seats"])
            return placed
        except janus.JanusError:
            # Its server may have died since: asking again tells where the room is by then.
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def close_meeting(name):
    """Closes a meeting: on its Janus first, so that Usher never counts a place as free that is still in use."""
    room = usher.read(name)
    if room is None:
        return
    if room.get("server"):
        try:
            janus.destroy_room(room["server"]["url"], name)
        except janus.JanusError:
            pass  # a server that has gone took the room with it; releasing must work all the same
    usher.release(name, room.get("placement"))


def follow_meeting(name, placed, on_moved, stop):
    """Follows a meeting until the event `stop` is set or Usher knows it no more.

    When its server is lost, Usher places the room on another, with a higher `placement`; the room is created there and
    `on_moved(placed)` is told, to send everybody after it.
    """
    while not stop.wait(FOLLOW_SECONDS * random.uniform(0.8, 1.2)):
        try:
            room = usher.read(name)
            if room is None:
                return
            if room["state"] == "placed" and room["placement"] > placed["placement"] and not stop.is_set():
                janus.create_room(room["server"]["url"], name, room["seats"])
                placed = room
                on_moved(placed)
        except (usher.UsherProblem, janus.JanusError):
            pass  # Usher or the new server does not answer just now: nothing is decided by that, the next look tells
