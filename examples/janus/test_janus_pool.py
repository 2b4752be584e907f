"""Runs launch.sh, terminate.sh and list.sh as Usher does, with real Janus processes: `python3 test_janus_pool.py`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CALL_SECONDS_MAX = 30
"""Usher's own limit for one call (`timeout_seconds` in usher.toml)."""


class Pool:
    """A fleet with a state folder of its own."""

    def __init__(self):
        self.state = Path(os.path.realpath(tempfile.mkdtemp(prefix="usher-janus-test-")))

    def begin(self, call, stdin, environment=None):
        environment = {**os.environ, "USHER_JANUS_DIR": str(self.state), **(environment or {})}
        program = subprocess.Popen([HERE / f"{call}.sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, cwd="/", env=environment, text=True)
        program.stdin.write(stdin)
        program.stdin.close()
        program.stdin = None
        return program

    def ask(self, call, stdin, environment=None):
        """The exit code, the answer, and the message on stderr."""
        with self.begin(call, stdin, environment) as program:
            try:
                out, err = program.communicate(timeout=CALL_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
        return program.returncode, json.loads(out) if out else None, err.strip()

    def launch(self, server="here-1", attempt=1):
        code, answer, message = self.ask("launch", order(server, attempt))
        if code != 0:
            raise AssertionError(f"launch of {server} ended with {code}: {message}")
        return answer

    def terminate(self, server="here-1", attempt=1, instance=None):
        return self.ask("terminate", json.dumps({"fleet": "test", "server": server, "attempt": attempt,
                                                 "pool": "janus-here", "instance": instance}))

    def list(self, pool="janus-here", fleet="test"):
        code, answer, message = self.ask("list", json.dumps({"fleet": fleet, "pool": pool}))
        if code != 0:
            raise AssertionError(f"list ended with {code}: {message}")
        return answer["instances"]

    def processes(self):
        """The ids of the Janus processes of this fleet, told by their command lines and not by our own records."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                arguments = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if arguments[0].endswith(b"janus") and any(part.startswith(bytes(self.state)) for part in arguments):
                found.append(int(name))
        return found

    def close(self):
        for process in self.processes():
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.state)


def order(server="here-1", attempt=1, **changed):
    return json.dumps({"fleet": "test", "server": server, "attempt": attempt, "pool": "janus-here", "region": "local",
                       "zone": None, "instance_type": "process", "labels": {}, **changed})


def is_answering(url):
    try:
        with urllib.request.urlopen(f"{url}/info", timeout=2) as answer:
            return json.load(answer)["janus"] == "server_info"
    except OSError:
        return False


def until(claim, seconds=5):
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class JanusPool(unittest.TestCase):
    def setUp(self):
        self.pool = Pool()
        self.addCleanup(self.pool.close)

    def test_two_launched_at_once_are_two_servers_that_answer(self):
        with ThreadPoolExecutor(2) as both:
            one, two = both.map(self.pool.launch, ["here-1", "here-2"])
        urls = [one["url"], two["url"], one["endpoints"]["admin"], two["endpoints"]["admin"]]
        self.assertEqual(len(set(urls)), 4)
        for url in urls:
            self.assertTrue(until(lambda: is_answering(url)), url)
        self.assertEqual(len(self.pool.processes()), 2)
        self.assertEqual([(row["server"], row["attempt"], row["instance"], row["url"], row["state"])
                          for row in self.pool.list()],
                         [("here-1", 1, one["instance"], one["url"], "running"),
                          ("here-2", 1, two["instance"], two["url"], "running")])

    def test_one_key_launched_four_times_at_once_and_again_is_one_process(self):
        with ThreadPoolExecutor(4) as all_four:
            answers = list(all_four.map(lambda _: self.pool.launch(), range(4)))
        answers.append(self.pool.launch())
        self.assertEqual(answers, [answers[0]] * 5)
        self.assertEqual(len(self.pool.processes()), 1)

    def test_another_attempt_at_a_server_is_another_process(self):
        self.assertNotEqual(self.pool.launch(attempt=1)["url"], self.pool.launch(attempt=2)["url"])
        self.assertEqual([row["attempt"] for row in self.pool.list()], [1, 2])

    def test_a_launcher_killed_at_any_moment_leaves_no_second_process(self):
        for step in range(10):
            server = f"here-{step}"
            launcher = self.pool.begin("launch", order(server))
            time.sleep(step * 0.03)
            launcher.kill()
            launcher.communicate()
            self.assertTrue(until(lambda: is_answering(self.pool.launch(server)["url"])))
            self.assertEqual(len(self.pool.processes()), 1)
            self.assertEqual(self.pool.terminate(server)[0], 0)
            self.assertEqual(self.pool.processes(), [])

    def test_a_crashed_server_is_listed_as_ended_and_never_started_again(self):
        launched = self.pool.launch()
        os.kill(self.pool.processes()[0], signal.SIGKILL)
        self.assertTrue(until(lambda: self.pool.list()[0]["state"] == "ended"))
        self.assertEqual(self.pool.list()[0]["instance"], launched["instance"])
        code, _, message = self.pool.ask("launch", order())
        self.assertEqual(code, 65)
        self.assertIn("ended by itself", message.splitlines()[-1])
        self.assertEqual((self.pool.list(), self.pool.processes()), ([], []))

    def test_a_terminated_server_leaves_nothing_and_does_not_come_back(self):
        launched = self.pool.launch()
        for _ in range(2):
            self.assertEqual(self.pool.terminate(instance=launched["instance"]), (0, {}, ""))
            self.assertEqual((self.pool.list(), self.pool.processes()), ([], []))
        self.assertFalse(is_answering(launched["url"]))
        self.assertEqual([path.name for path in (self.pool.state / "test").iterdir()], ["keys"])
        self.assertEqual(self.pool.ask("launch", order())[0], 65)
        self.assertEqual(self.pool.processes(), [])

    def test_a_launch_that_arrives_after_its_terminate_is_refused(self):
        self.assertEqual(self.pool.terminate(), (0, {}, ""))
        code, _, message = self.pool.ask("launch", order())
        self.assertEqual((code, message), (65, "here-1@1 has ended: it was terminated"))
        self.assertEqual(self.pool.processes(), [])

    def test_a_terminate_beside_its_launch_leaves_nothing_whichever_is_first(self):
        for step in range(5):
            launcher = self.pool.begin("launch", order(f"here-{step}"))
            time.sleep(step * 0.03)
            self.assertEqual(self.pool.terminate(f"here-{step}")[0], 0)
            launcher.communicate(timeout=CALL_SECONDS_MAX)
            self.assertIn(launcher.returncode, (0, 65))
            self.assertEqual(self.pool.processes(), [])

    def test_terminate_ends_one_server_and_no_other(self):
        self.pool.launch("here-1")
        kept = self.pool.launch("here-2")
        self.pool.terminate("here-1")
        self.assertEqual([row["server"] for row in self.pool.list()], ["here-2"])
        self.assertTrue(is_answering(kept["url"]))

    def test_a_later_process_with_the_same_id_is_never_killed(self):
        self.pool.launch()
        record = self.pool.state / "test" / "here-1@1" / "process"
        with subprocess.Popen(["sleep", "60"]) as stranger:
            record.write_text(json.dumps({**json.loads(record.read_text()), "pid": stranger.pid}))
            self.assertEqual(self.pool.terminate()[0], 0)
            self.assertIsNone(stranger.poll())
            stranger.kill()
        self.assertEqual(self.pool.processes(), [])

    def test_a_janus_that_does_not_listen_is_ended_by_force(self):
        self.pool.launch()
        os.kill(self.pool.processes()[0], signal.SIGSTOP)
        self.assertEqual(self.pool.terminate(), (0, {}, ""))
        self.assertEqual(self.pool.processes(), [])

    def test_a_server_whose_folder_was_lost_is_still_listed_and_ended(self):
        launched = self.pool.launch()
        shutil.rmtree(self.pool.state / "test")
        self.assertEqual([row["instance"] for row in self.pool.list()], [launched["instance"]])
        self.assertEqual(self.pool.launch(), launched)
        self.assertEqual(self.pool.terminate()[0], 0)
        self.assertEqual((self.pool.list(), self.pool.processes()), ([], []))

    def test_other_pools_and_fleets_are_not_listed(self):
        self.pool.launch()
        self.assertEqual(self.pool.list(pool="other"), [])
        self.assertEqual(self.pool.list(fleet="other"), [])

    def test_a_machine_without_janus_is_a_configuration_error_that_says_what_to_install(self):
        tools = self.pool.state / "bin"
        tools.mkdir()
        for tool in ("sh", "dirname", "readlink"):
            (tools / tool).symlink_to(shutil.which(tool))
        (tools / "python3").symlink_to(sys.executable)
        code, _, message = self.pool.ask("launch", order(), {"PATH": str(tools)})
        self.assertEqual((code, message), (78, "janus is not installed: apt-get install janus"))
        self.assertEqual(self.pool.list(), [])

    def test_a_janus_that_dies_at_once_is_refused_with_its_last_words(self):
        tools = self.pool.state / "bin"
        tools.mkdir()
        (tools / "janus").write_text("#!/bin/sh\necho 'no such certificate'\nexit 1\n")
        (tools / "janus").chmod(0o755)
        code, _, message = self.pool.ask("launch", order(), {"PATH": f"{tools}:{os.environ['PATH']}"})
        self.assertEqual((code, message), (65, "no such certificate\nhere-1@1: Janus ended at once (1)"))
        self.assertEqual(self.pool.list(), [])

    def test_a_machine_without_a_free_slot_has_no_capacity(self):
        full = "import sys, janus_process, janus_pool; janus_process.SLOTS = 0; sys.exit(janus_pool.main(['launch']))"
        environment = {**os.environ, "USHER_JANUS_DIR": str(self.pool.state)}
        ended = subprocess.run([sys.executable, "-B", "-c", full], input=order(), capture_output=True, text=True,
                               cwd=HERE, env=environment, timeout=CALL_SECONDS_MAX)
        self.assertEqual(ended.returncode, 69, ended.stderr)
        self.assertEqual(self.pool.list(), [])

    def test_a_senseless_order_is_refused(self):
        for stdin in ("", "[]", "{}", order(fleet=".."), order(server="a/b"), order(server=""), order(attempt="1"),
                      order(attempt=True), order(server="x" * 129)):
            self.assertEqual(self.pool.ask("launch", stdin)[0], 65, stdin)
        self.assertEqual(self.pool.processes(), [])


if __name__ == "__main__":
    unittest.main()
