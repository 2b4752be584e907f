"""One Janus process: its ports, its configuration, starting it, finding it again and ending it. Linux only.

A Janus is told by two marks. Its own command line names its folder, its label and its ports, so that it is found even
when that folder has been lost. The file `process` holds its id and start time, written before it becomes Janus.

Ports come in slots. Whoever runs in a slot holds a lock on the slot's file, the running Janus included, which inherits
it: two launches never meet, and the kernel frees the slot at the very moment the process is gone.
"""

import fcntl
import glob
import json
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

SLOTS = 50
"""Servers at the same time, for one user of one machine."""

HTTP_FIRST, ADMIN_FIRST, RTP_FIRST = 20000, 20050, 20100
"""Up to 30099: below 32768, where Linux begins to hand out ports by itself."""

RTP_PORTS = 200
"""UDP ports a server: a participant takes about two, one to send and one to receive."""

TRIES_MAX = 3
"""Slots that one launch tries when another program has taken the ports just before Janus could."""

START_SECONDS_MAX = 5
"""How long a launch watches its new Janus; it takes 0.2 s. A slower one is left to Usher's own probe."""

END_SECONDS_MAX = 5
"""How long a Janus may take after SIGTERM, and again after SIGKILL."""

PLUGIN = "plugins/libjanus_videoroom.so"
TRANSPORT = "transports/libjanus_http.so"


class NotInstalled(Exception):
    """Janus or a part of it is missing on this machine."""


class NoSlot(Exception):
    """Every slot is taken, or the machine has no more processes to give."""


class CannotStart(Exception):
    """Janus was started and ended at once."""


class PortsTaken(CannotStart):
    """Somebody else listens on the ports of the slot."""


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    started_ticks: int


def start(folder, label):
    """Starts a Janus and answers its command line, which says all about it.

    The process has then answered, or is still alive after `START_SECONDS_MAX`. On an error no process is left.
    """
    program, parts = installed()
    for _ in range(TRIES_MAX):
        slot, lock = take_slot(folder)
        try:
            argv = [program, "-F", str(folder / "conf"), "-n", label, "-r", rtp_range(slot)]
            write_configuration(folder, parts, slot)
            (folder / "argv.json").write_text(json.dumps(argv))
            watch(spawn(folder, argv, lock), folder, argv)
            return argv
        except PortsTaken as reason:
            taken = reason
        finally:
            os.close(lock)
    raise taken


def installed():
    """The Janus program and the folder of its plugins."""
    program = shutil.which("janus")
    if program is None:
        raise NotInstalled("janus is not installed: apt-get install janus")
    for parts in map(Path, [*glob.glob("/usr/lib/*/janus"), "/usr/local/lib/janus", "/opt/janus/lib/janus"]):
        if (parts / PLUGIN).exists() and (parts / TRANSPORT).exists():
            return program, parts
    raise NotInstalled("janus lacks its videoroom plugin or HTTP transport: apt-get install --reinstall janus")


def take_slot(folder):
    """A free slot and the lock that holds it. The key says where to begin, so that ports are not reused at once."""
    locks = Path(f"/tmp/usher-janus-ports-{os.getuid()}")
    locks.mkdir(exist_ok=True, mode=0o700)
    first = zlib.crc32(str(folder).encode())
    for slot in ((first + step) % SLOTS for step in range(SLOTS)):
        lock = os.open(locks / f"slot-{slot}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if are_free(HTTP_FIRST + slot, ADMIN_FIRST + slot):
                return slot, lock
        except BlockingIOError:
            pass
        os.close(lock)
    raise NoSlot(f"all {SLOTS} slots for Janus servers on this machine are taken")


def are_free(*ports):
    """Whether Janus could listen on these ports, also when it is another user who has them."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def write_configuration(folder, parts, slot):
    """A Janus with the videoroom plugin and the HTTP transport, both APIs on loopback, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in (PLUGIN, TRANSPORT):
        (folder / part).parent.mkdir(parents=True, mode=0o700)
        (folder / part).symlink_to(parts / part)
    secret = secrets.token_urlsafe(24)
    files = {
        "janus.jcfg": f"""general: {{
  configs_folder = {quoted(folder / "conf")}
  plugins_folder = {quoted(folder / "plugins")}
  transports_folder = {quoted(folder / "transports")}
  events_folder = {quoted(folder / "none")}
  loggers_folder = {quoted(folder / "none")}
  admin_secret = "{secret}"
  session_timeout = 60
  candidates_timeout = 45
  debug_level = 3
  debug_colors = false
}}
""",
        "janus.transport.http.jcfg": f"""general: {{
  json = "compact"
  base_path = "/janus"
  http = true
  https = false
  ip = "127.0.0.1"
  port = {HTTP_FIRST + slot}
}}
admin: {{
  admin_base_path = "/admin"
  admin_http = true
  admin_https = false
  admin_ip = "127.0.0.1"
  admin_port = {ADMIN_FIRST + slot}
}}
""",
        "janus.plugin.videoroom.jcfg": "general: { }\n",
    }
    (folder / "conf").mkdir(mode=0o700)
    for name, text in files.items():
        path = folder / "conf" / name
        path.touch(mode=0o600)
        path.write_text(text)


def quoted(path):
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def spawn(folder, argv, lock):
    """Forks, writes down who the new process is, and has it become Janus in a session of its own.

    It keeps no descriptor but its log and the lock of its slot: one more, and the caller would wait for ever for its
    end. What locks the key closes by itself at `execve`, and no earlier.
    """
    try:
        pid = os.fork()
    except OSError as reason:
        raise NoSlot(f"cannot start one more process: {reason.strerror}") from None
    if pid != 0:
        return pid
    try:
        os.setsid()
        os.umask(0o077)
        os.chdir("/")
        log = os.open(folder / "janus.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, log, log)):
            os.dup2(source, target)
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > 2 and descriptor != lock and inheritable(descriptor):
                os.close(descriptor)
        os.set_inheritable(lock, True)
        write_process(folder, os.getpid())
        # Nothing of the host's environment: it may hold its tokens.
        os.execve(argv[0], argv, {"PATH": os.defpath, "LANG": "C.UTF-8"})
    except OSError as reason:
        print(f"cannot become {argv[0]}: {reason.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(127)


def inheritable(descriptor):
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False


def watch(pid, folder, argv):
    """Waits until a new Janus answers; tells at once when it has ended instead."""
    deadline = time.monotonic() + START_SECONDS_MAX
    urls = [f"http://127.0.0.1:{port}/{path}/info" for port, path in zip(ports_in(argv), ("janus", "admin"))]
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            kind = PortsTaken if "webserver on port" in log_tail(folder) else CannotStart
            raise kind(f"Janus ended at once ({os.waitstatus_to_exitcode(status)})")
        if all(is_answered_by(url, label_in(argv)) for url in urls):
            return
        time.sleep(0.02)


def is_answered_by(url, label):
    """Whether it is the Janus with this label that answers: another program may have been quicker to take the port."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return json.load(answer).get("server-name") == label
    except (OSError, ValueError, AttributeError):
        return False


def write_process(folder, pid):
    unfinished = folder / "process.new"
    unfinished.write_text(json.dumps({"pid": pid, "started_ticks": started_ticks(pid), "boot": boot()}))
    unfinished.rename(folder / "process")


def has_run(folder):
    """Whether a process was ever started for this folder."""
    return (folder / "process").exists()


def find(folder):
    """The live process of a folder, if there is one."""
    try:
        record = json.loads((folder / "process").read_text())
        process = Process(record["pid"], record["started_ticks"])
        if record["boot"] == boot() and is_alive(process):
            return process
    except (FileNotFoundError, NotADirectoryError):
        pass
    return next((process for process, argv in all_running() if folder_in(argv) == folder), None)


def all_running():
    """Every Janus that was started by `start`, with its command line, whether its folder still exists or not."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            ticks = started_ticks(int(name))
            argv = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:
            continue
        if ticks is not None and len(argv) == 7 and argv[1::2] == ["-F", "-n", "-r"] and Path(argv[0]).name == "janus":
            yield Process(int(name), ticks), argv


def recorded_argv(folder):
    """The command line that a folder's Janus had, or None when the folder has just gone."""
    try:
        return json.loads((folder / "argv.json").read_text())
    except FileNotFoundError:
        return None


def argv_of(process, folder):
    """The command line of a live process: its own, or, in the instant before it becomes Janus, the recorded one."""
    return next((argv for running, argv in all_running() if running == process), None) or recorded_argv(folder)


def folder_in(argv):
    return Path(argv[2]).parent


def label_in(argv):
    return argv[4]


def rtp_range(slot):
    first = RTP_FIRST + slot * RTP_PORTS
    return f"{first}-{first + RTP_PORTS - 1}"


def ports_in(argv):
    """The ports of the HTTP API and of the admin API."""
    slot = (int(argv[6].partition("-")[0]) - RTP_FIRST) // RTP_PORTS
    return HTTP_FIRST + slot, ADMIN_FIRST + slot


def started_ticks(pid):
    """When a process started, in clock ticks since boot; None when it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot():
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def is_alive(process):
    return started_ticks(process.pid) == process.started_ticks


def end(process):
    """Ends a process, by force if it does not listen; says whether it has gone.

    The descriptor is opened before the start time is compared, so that a signal reaches that process or none.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not is_alive(process):
                return True
            signal.pidfd_send_signal(descriptor, number)
            select.select([descriptor], [], [], END_SECONDS_MAX)
        return not is_alive(process)
    except ProcessLookupError:
        return True
    finally:
        os.close(descriptor)


def log_tail(folder):
    """The last lines that a Janus has written."""
    try:
        return "\n".join((folder / "janus.log").read_text(errors="replace").splitlines()[-10:])
    except OSError:
        return ""
