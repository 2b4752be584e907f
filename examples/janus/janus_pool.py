"""Launches, terminates and lists real Janus servers on this machine, for a pool of Usher's provider `exec`.

One JSON object comes on stdin and one goes to stdout; what went wrong goes to stderr, its last line being the message;
the exit code says what Usher should do next (`Answer` below). README.md has the protocol.

The state is one folder a fleet:

    keys/<server>@<attempt>      the lock of that key, and its tombstone once it has ended
    <server>@<attempt>/          configuration, log and process id of that Janus, until it is terminated

A key names at most one process, ever: every step on it holds its lock, also the new process itself until it has become
Janus, so that a launcher killed at any moment leaves either nothing or a process that the next call finds.
"""

import contextlib
import enum
import fcntl
import json
import os
import re
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import janus_process
from janus_process import CannotStart, NoSlot, NotInstalled

LOCK_SECONDS_MAX = 20
"""How long a call waits for another one on the same key: below the pool's `timeout_seconds` of 30."""

TOMBSTONE_SECONDS = 24 * 3600
"""How long an ended key is remembered: far longer than any late launch can be on its way."""

NAME = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}\Z")
"""Names become folders, so one that begins with a dot is refused."""


class Answer(enum.IntEnum):
    """What an exit code tells Usher; any other code, a signal or a time-out is an unknown outcome, asked again."""

    DONE = 0
    REFUSED = 65  # for good: ends the record
    NO_CAPACITY = 69  # try another offer
    ASK_AGAIN = 75  # unknown outcome: the same key again
    NO_PERMISSION = 77  # stop and alarm
    NOT_CONFIGURED = 78  # stop and alarm


class Refusal(Exception):
    """A call that ends with another answer than DONE."""

    def __init__(self, answer, message):
        super().__init__(message)
        self.answer = answer


@dataclass(frozen=True)
class Key:
    """One attempt at one server of one fleet."""

    fleet: Path
    server: str
    attempt: int

    @property
    def name(self):
        return f"{self.server}@{self.attempt}"

    @property
    def folder(self):
        return self.fleet / self.name


def launch(order):
    """Starts the Janus of a key, or finds the one that was started before."""
    key, pool = key_of(order), name_in(order, "pool")
    with locked(key) as grave:
        if grave.is_closed():
            raise Refusal(Answer.REFUSED, f"{key.name} has ended: {grave.epitaph()}")
        process = janus_process.find(key.folder)
        if process is not None:
            return answer_of(janus_process.argv_of(process, key.folder))
        if janus_process.has_run(key.folder):
            raise buried(key, grave, "its Janus ended by itself")
        try:
            return answer_of(janus_process.start(key.folder, label=f"{pool}/{key.name}"))
        except CannotStart as reason:
            raise buried(key, grave, str(reason)) from None
        except (NotInstalled, NoSlot) as reason:
            shutil.rmtree(key.folder, ignore_errors=True)
            answer = Answer.NO_CAPACITY if isinstance(reason, NoSlot) else Answer.NOT_CONFIGURED
            raise Refusal(answer, str(reason)) from None


def terminate(order):
    """Ends the Janus of a key, now or, by the tombstone, should its launch arrive later."""
    key = key_of(order)
    with locked(key) as grave:
        grave.close("it was terminated")
        process = janus_process.find(key.folder)
        if process is not None and not janus_process.end(process):
            raise Refusal(Answer.ASK_AGAIN, f"{key.name}: process {process.pid} does not end")
        remove(key.folder)
    return {}


def list_instances(order):
    """Tells every Janus of a pool that runs or has crashed."""
    fleet, pool = fleet_of(order), name_in(order, "pool")
    prune(fleet)
    found = {}
    for folder in ended_folders(fleet):
        found[folder] = (janus_process.recorded_argv(folder), "ended")
    for process, argv in janus_process.all_running():
        folder = janus_process.folder_in(argv)
        if folder.parent == fleet:
            found[folder] = (argv, "running")
    return {"instances": [row(folder, argv, state) for folder, (argv, state) in sorted(found.items())
                          if argv and janus_process.label_in(argv).partition("/")[0] == pool]}


def row(folder, argv, state):
    server, _, attempt = folder.name.rpartition("@")
    answer = answer_of(argv)
    return {"server": server, "attempt": int(attempt), "instance": answer["instance"], "url": answer["url"],
            "endpoints": answer["endpoints"], "state": state}


def answer_of(argv):
    """The answer to a launch. It is read from the command line alone, so that it is the same at every call."""
    http, admin = janus_process.ports_in(argv)
    folder = janus_process.folder_in(argv)
    return {"instance": f"{folder.parent.name}/{folder.name}", "url": f"http://127.0.0.1:{http}/janus",
            "endpoints": {"admin": f"http://127.0.0.1:{admin}/admin"}, "zone": None}


def ended_folders(fleet):
    """The folders whose Janus has run and runs no more."""
    if not fleet.is_dir():
        return
    for folder in fleet.iterdir():
        if "@" in folder.name and janus_process.has_run(folder) and janus_process.find(folder) is None:
            yield folder


def buried(key, grave, reason):
    """Closes a key whose Janus is dead, and gives the refusal that tells why, with the end of its log."""
    tail = janus_process.log_tail(key.folder)
    grave.close(reason)
    remove(key.folder)
    return Refusal(Answer.REFUSED, f"{tail}\n{key.name}: {reason}")


def remove(folder):
    if folder.exists():
        shutil.rmtree(folder)


class Grave:
    """The file of a key, held locked: empty while the key may live, with an epitaph once it has ended."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def is_closed(self):
        return os.fstat(self.descriptor).st_size > 0

    def epitaph(self):
        return os.pread(self.descriptor, 4096, 0).decode()

    def close(self, reason):
        if not self.is_closed():
            os.pwrite(self.descriptor, reason.encode(), 0)


@contextlib.contextmanager
def locked(key):
    """Holds the lock of a key. A file that was pruned between opening and locking is opened anew."""
    keys = key.fleet / "keys"
    make_private(keys.parent.parent)
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        descriptor = os.open(keys / key.name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not lock_before(deadline, descriptor):
                raise Refusal(Answer.ASK_AGAIN, f"{key.name} is busy for more than {LOCK_SECONDS_MAX} s")
            if os.fstat(descriptor).st_nlink > 0:
                yield Grave(descriptor)
                return
        finally:
            os.close(descriptor)


def lock_before(deadline, descriptor):
    """Waits for a lock until a moment; says whether it was had."""

    def ring(_signal, _frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, deadline - time.monotonic()))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    except TimeoutError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def prune(fleet):
    """Forgets the keys that ended long ago, so that the folder does not grow for ever."""
    keys = fleet / "keys"
    for path in keys.iterdir() if keys.is_dir() else []:
        with contextlib.suppress(OSError):
            if (fleet / path.name).exists() or path.stat().st_mtime > time.time() - TOMBSTONE_SECONDS:
                continue
            descriptor = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not (fleet / path.name).exists():
                    path.unlink()
            finally:
                os.close(descriptor)


def make_private(folder):
    """Makes a folder that only we can write; refuses one that somebody else has put there."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (PermissionError, FileExistsError) as reason:
        raise Refusal(Answer.NO_PERMISSION, f"cannot make {folder}: {reason.strerror}; set USHER_JANUS_DIR") from None
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise Refusal(Answer.NO_PERMISSION, f"{folder} is not ours alone; set USHER_JANUS_DIR to a folder of your own")


def root():
    """`$USHER_JANUS_DIR`, or a folder of this user in `$XDG_RUNTIME_DIR` or `/tmp`."""
    chosen = os.environ.get("USHER_JANUS_DIR")
    runtime = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    return Path(os.path.realpath(chosen or f"{runtime}/usher-janus-{os.getuid()}"))


def fleet_of(order):
    return root() / name_in(order, "fleet")


def key_of(order):
    attempt = order.get("attempt")
    if type(attempt) is not int or attempt < 0:
        raise Refusal(Answer.REFUSED, f"attempt: expected a whole number, got {attempt!r}")
    return Key(fleet_of(order), name_in(order, "server"), attempt)


def name_in(order, field):
    name = order.get(field)
    if not isinstance(name, str) or not NAME.match(name):
        rule = "expected 1 to 128 of [A-Za-z0-9._:-], not beginning with a dot"
        raise Refusal(Answer.REFUSED, f"{field}: {rule}, got {name!r}")
    return name


def read_order():
    try:
        order = json.load(sys.stdin)
    except ValueError as reason:
        raise Refusal(Answer.REFUSED, f"stdin is not JSON: {reason}") from None
    if not isinstance(order, dict):
        raise Refusal(Answer.REFUSED, "stdin is not a JSON object")
    return order


CALLS = {"launch": launch, "terminate": terminate, "list": list_instances}


def main(arguments):
    if len(arguments) != 1 or arguments[0] not in CALLS:
        print("usage: janus_pool.py launch|terminate|list < order.json", file=sys.stderr)
        return Answer.REFUSED
    try:
        answer = CALLS[arguments[0]](read_order())
    except Refusal as refusal:
        print(str(refusal).strip(), file=sys.stderr)
        return refusal.answer
    except PermissionError as reason:
        print(f"{arguments[0]}: {reason}", file=sys.stderr)
        return Answer.NO_PERMISSION
    except OSError as reason:
        print(f"{arguments[0]}: {reason}", file=sys.stderr)
        return Answer.ASK_AGAIN
    print(json.dumps(answer))
    return Answer.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
