"""The videoroom API of a Janus server: what an app does on the server that Usher has named. Usher has no part in it."""

import hashlib
import http.client
import json
import urllib.request
import uuid

ANSWER_SECONDS_MAX = 5
ROOM_EXISTS = 427
NO_SUCH_ROOM = 426


class JanusError(Exception):
    """Janus does not answer, or not as asked."""


def room_number(name):
    """Janus knows rooms by number: the first 48 bits of the name's hash, the same for every app server."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") + 1


def create_room(url, name, seats):
    """Creates a room; one that exists already is as good."""
    ask(url, {"request": "create", "room": room_number(name), "description": name, "publishers": seats}, ROOM_EXISTS)


def destroy_room(url, name):
    """Destroys a room; one that is gone already is as good."""
    ask(url, {"request": "destroy", "room": room_number(name)}, NO_SUCH_ROOM)


def room_exists(url, name):
    return ask(url, {"request": "exists", "room": room_number(name)})["exists"]


def list_rooms(url):
    """The numbers of all rooms that a server has."""
    return [room["room"] for room in ask(url, {"request": "list"})["list"]]


def ask(url, body, tolerated_error=None):
    """One question to the videoroom plugin, in a session of its own."""
    session = f"{url}/{post(url, {'janus': 'create'})['data']['id']}"
    try:
        handle = post(session, {"janus": "attach", "plugin": "janus.plugin.videoroom"})["data"]["id"]
        data = post(f"{session}/{handle}", {"janus": "message", "body": body})["plugindata"]["data"]
        if data.get("error_code") not in (None, tolerated_error):
            raise JanusError(f"{url} refuses to {body['request']}: {data['error']} ({data['error_code']})")
        return data
    finally:
        try:
            post(session, {"janus": "destroy"})
        except JanusError:
            pass  # Janus cleans up a session that stays within a minute


def post(url, message):
    data = json.dumps({**message, "transaction": uuid.uuid4().hex}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=ANSWER_SECONDS_MAX) as response:
            answer = json.load(response)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise JanusError(f"{url}: {error}") from None
    if answer["janus"] != "success":
        raise JanusError(f"{url}: {answer.get('error', {}).get('reason', answer['janus'])}")
    return answer
