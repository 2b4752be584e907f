"""Runs what an instance runs at its first boot, with stand-ins for AWS's command line, its metadata and systemd: `python3 -m unittest`."""

import json
import os
import re
import stat
import subprocess
import tempfile
import threading
import tomllib
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAME = "frankfurt-7.media.example.com"
ADDRESS = "203.0.113.7"
WORDS = {"server": "frankfurt-7", "attempt": "1", "pool": "frankfurt", "fleet": "acme", "region": "eu-central-1",
         "zone": "eu-central-1a", "url": "https://usher.example.com", "token": "usher_agent.7.0.x"}

AWS = '''#!/usr/bin/env python3
"""AWS's command line, as far as the scripts call it: `world.json` is all that exists, and how calls fail."""
import json, pathlib, sys
file = pathlib.Path(__file__).with_name("world.json")
world = json.loads(file.read_text())
words = sys.argv[1:]
value = lambda option: words[words.index(option) + 1]
world["calls"].append(" ".join(words))
def end(code, said=""):
    file.write_text(json.dumps(world))
    print(said, file=sys.stderr if code else sys.stdout)
    sys.exit(code)
if world["failures"]:
    end(254, world["failures"].pop(0))
if "get-secret-value" in words:
    end(0, world["secret"])
if "list-resource-record-sets" in words:
    end(0, "\\n".join(f"{name}.\\t{address}" for name, address in world["records"].items()))
if "describe-instances" in words:
    end(0, "\\n".join(world["addresses"]))
if "wait" in words:
    end(0 if value("--id") == "/change/C1" else 255)
assert value("--hosted-zone-id") == "Z1", words
[change] = json.loads(value("--change-batch"))["Changes"]
record = change["ResourceRecordSet"]
name, address = record["Name"], record["ResourceRecords"][0]["Value"]
assert record["Type"] == "A" and record["TTL"] == 60 and len(record["ResourceRecords"]) == 1, record
if change["Action"] == "UPSERT":
    world["records"][name] = address
elif name not in world["records"]:
    end(254, f"An error occurred (InvalidChangeBatch): Tried to delete resource record set [name='{name}.'] but it was not found")
elif world["records"].pop(name) != address:
    end(254, "An error occurred (InvalidChangeBatch): the values provided do not match the current values")
end(0, "/change/C1")
'''


class Metadata(BaseHTTPRequestHandler):
    """An instance's metadata, which wants a token."""

    address = ADDRESS

    def do_PUT(self):
        life = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
        self.answer(200 if life and self.path == "/latest/api/token" else 400, "a-token")

    def do_GET(self):
        if self.headers.get("x-aws-ec2-metadata-token") != "a-token":
            return self.answer(401, "")
        known = self.path == "/latest/meta-data/public-ipv4" and Metadata.address
        self.answer(200 if known else 404, Metadata.address or "")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class FirstBoot(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="usher-aws-test-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.programs = self.root / "bin"
        self.programs.mkdir()
        self.program("aws", AWS)
        self.have(calls=[], failures=[], records={}, addresses=[], secret="")
        metadata = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
        threading.Thread(target=metadata.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(metadata.server_close)
        self.addCleanup(metadata.shutdown)
        Metadata.address = ADDRESS
        self.environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}", "ZONE": "Z1", "SECRET": "media-certificate", "PAUSE_SECONDS": "0",
            "IMDS": f"http://127.0.0.1:{metadata.server_port}", "REGIONS": "eu-central-1", "SETTLE_SECONDS": "0",
            "FOLDER": str(self.root / "tls"), "RUNTIME_DIRECTORY": str(self.root),
        }

    def program(self, name, text):
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def have(self, **changes):
        file = self.programs / "world.json"
        world = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**world, **changes}))

    @property
    def world(self):
        return json.loads((self.programs / "world.json").read_text())

    def run_it(self, program, *arguments, code=0):
        """Returns what it said."""
        ran = subprocess.run([program, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, cwd="/")
        self.assertEqual(ran.returncode, code, ran.stderr)
        return ran.stdout + ran.stderr

    def test_a_name_leads_here_once_route_53_says_so_and_leads_here_no_more_after_the_shutdown(self):
        self.run_it(HERE / "register-name", NAME)
        self.assertEqual(self.world["records"], {NAME: ADDRESS})
        self.assertIn("route53 wait resource-record-sets-changed --id /change/C1", self.world["calls"][-1])
        self.assertEqual((self.root / "address").read_text(), f"ADDRESS={ADDRESS}\n")
        Metadata.address = None  # It may be gone before the instance is.
        self.run_it(HERE / "register-name", "--remove", NAME)
        self.assertEqual(self.world["records"], {})
        self.assertIn("was not there", self.run_it(HERE / "register-name", "--remove", NAME))

    def test_a_name_that_leads_elsewhere_is_left(self):
        self.have(records={NAME: "203.0.113.8"})
        self.assertIn("leads elsewhere", self.run_it(HERE / "register-name", "--remove", NAME, code=1))

    def test_what_passes_is_tried_again_and_what_does_not_is_told_at_once(self):
        self.have(failures=["Unable to locate credentials", "Throttling: Rate exceeded"])
        self.run_it(HERE / "register-name", NAME)
        self.assertEqual(self.world["records"], {NAME: ADDRESS})
        self.have(failures=["An error occurred (AccessDenied): not authorized to perform: route53:Change"], calls=[])
        self.assertIn("not authorized to perform", self.run_it(HERE / "register-name", NAME, code=1))
        self.assertEqual(len(self.world["calls"]), 1)
        self.have(failures=["no network"] * 6)
        self.assertIn("no network", self.run_it(HERE / "register-name", NAME, code=1))
        Metadata.address = None
        self.assertIn("has no public address", self.run_it(HERE / "register-name", NAME, code=1))
        for wrong in [[], ["Frankfurt"], ['a"b']]:
            self.assertIn("usage", self.run_it(HERE / "register-name", *wrong, code=1))
        self.environment["ZONE"] = ""
        self.assertIn("ZONE is not set", self.run_it(HERE / "register-name", NAME, code=1))

    def test_key_and_chain_of_a_certificate_come_into_their_places_with_their_modes(self):
        key = "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n"
        chain = "-----BEGIN CERTIFICATE-----\na\n-----END CERTIFICATE-----\n" * 2
        self.have(secret=key + chain, failures=["Could not connect"])
        self.run_it(HERE / "fetch-certificate")
        self.assertEqual(sorted(os.listdir(self.root / "tls")), ["fullchain.pem", "key.pem"])
        for name, text, mode in [("key.pem", key, 0o600), ("fullchain.pem", chain, 0o644)]:
            file = self.root / "tls" / name
            self.assertEqual((file.read_text(), stat.S_IMODE(file.stat().st_mode)), (text, mode))
        self.have(secret=chain)
        self.assertIn("lacks what belongs in key.pem", self.run_it(HERE / "fetch-certificate", code=1))
        self.have(failures=["An error occurred (AccessDeniedException): no"], calls=[])
        self.assertIn("cannot be read", self.run_it(HERE / "fetch-certificate", code=1))
        self.assertEqual((len(self.world["calls"]), (self.root / "tls/key.pem").read_text()), (1, key))

    def test_only_names_that_lead_to_nobodys_address_are_swept(self):
        gone = {f"gone-{number}.media.example.com": f"198.51.100.{number}" for number in range(12)}
        self.have(records={NAME: ADDRESS, **gone}, addresses=["None", ADDRESS])
        listed = self.run_it(HERE / "sweep-names").splitlines()
        self.assertEqual((listed, len(self.world["records"])), ([f"{name} {gone[name]}" for name in gone], 13))
        self.assertIn("there are more", self.run_it(HERE / "sweep-names", "--remove"))
        self.assertEqual(len(self.world["records"]), 3)
        self.run_it(HERE / "sweep-names", "--remove", "--all")
        self.assertEqual(self.world["records"], {NAME: ADDRESS})
        self.program("aws", AWS.replace('if "describe', 'if "describe-instances" in words: end(254, "RequestLimitExceeded")\nif "describe'))
        self.assertIn("RequestLimit", self.run_it(HERE / "sweep-names", "--remove", code=254))
        self.assertEqual(self.world["records"], {NAME: ADDRESS})

    def test_user_data_leaves_what_the_units_read_and_starts_them_in_order(self):
        script = (HERE / "user-data.sh").read_text()
        script = re.sub(r"\{\{(\w+)\}\}", lambda word: WORDS[word[1]], script).replace("/etc/", f"{self.root}/etc/")
        self.program("systemctl", f'#!/bin/sh\necho "$@" >> {self.root}/systemctl\n')
        (self.root / "user-data").write_text(script)
        self.run_it("sh", self.root / "user-data")
        read = lambda file: (self.root / "etc" / file).read_text()
        self.assertEqual(read("usher/media-name.env"), f"AWS_DEFAULT_REGION=eu-central-1\nNAME={NAME}\nZONE=Z0123456789ABCDEFGHIJ\n"
                                                       "SECRET=media-certificate\n")
        self.assertIn("USHER_SERVER=frankfurt-7\nUSHER_TOKEN=usher_agent.7.0.x\n", read("usher/usher-agent.env"))
        secret = re.search(r"LoadCredential=(\S+):", read("systemd/system/usher-agent.service.d/janus.conf"))[1]
        self.assertIn(f"=file:${{CREDENTIALS_DIRECTORY}}/{secret}\n", read("usher/usher-agent.env"))
        self.assertIn("--nat-1-1=${ADDRESS}\n", read("systemd/system/janus.service.d/address.conf"))
        self.assertEqual(stat.S_IMODE((self.root / "etc/usher/usher-agent.env").stat().st_mode), 0o600)
        started = (self.root / "systemctl").read_text().splitlines()
        units = ["media-name", "janus", "usher-agent"]
        self.assertEqual(started, ["daemon-reload"] + [f"enable --now {unit}.service" for unit in units])
        self.program("systemctl", '#!/bin/sh\n! grep -q media-name <<END\n$*\nEND\n')
        self.run_it("sh", self.root / "user-data", code=1)


class Files(unittest.TestCase):
    def test_scripts_are_sh_and_units_name_what_is_here(self):
        for script in ["register-name", "fetch-certificate", "sweep-names", "user-data.sh"]:
            subprocess.run(["sh", "-n", HERE / script], check=True)
        programs = re.findall(r"^Exec\w+=/usr/local/bin/(\S+)", (HERE / "media-name.service").read_text(), re.M)
        self.assertEqual(programs, ["fetch-certificate", "register-name", "register-name"])
        for program in {*programs, "sweep-names"}:
            self.assertTrue(os.access(HERE / program, os.X_OK), program)

    def test_policies_and_configuration_name_the_same(self):
        documents = {file.name: json.loads(file.read_text()) for file in HERE.glob("*.json")}
        pool = tomllib.loads((HERE / "usher.toml").read_text())
        (ec2, fleet) = (pool["pool"][0]["ec2"], pool["fleet"])
        statements = {one["Sid"]: one for one in documents["policy.json"]["Statement"]}
        types = statements["LaunchTheTypesWithTheFleetsTag"]["Condition"]["StringEquals"]["ec2:InstanceType"]
        self.assertEqual(types, [offer["instance_type"] for offer in ec2["offers"]])
        subnets = [arn.split("/")[1] for arn in statements["LaunchInTheSubnets"]["Resource"] if ":subnet/" in arn]
        self.assertEqual(subnets, list(ec2["subnets"].values()))
        for name in ["LaunchTheTypesWithTheFleetsTag", "MakeVolumesWithTheFleetsTag", "TagAtCreation"]:
            self.assertEqual(statements[name]["Condition"]["StringEquals"]["aws:RequestTag/usher:fleet"], fleet)
        profile = documents["launch-template.json"]["IamInstanceProfile"]["Name"]
        self.assertTrue(statements["PassTheServersRole"]["Resource"].endswith(f":role/{profile}"))
        settings = dict(re.findall(r"^([A-Z]+)=(\S+) +#", (HERE / "user-data.sh").read_text(), re.M))
        written = json.dumps(documents["server-policy.json"])
        for part in [f"hostedzone/{settings['ZONE']}", f"*.{settings['DOMAIN']}", f"secret:{settings['SECRET']}-??????"]:
            self.assertIn(f"{part}\"", written)
        self.assertIn("{server}." + settings["DOMAIN"], pool["pool"][0]["url"])


if __name__ == "__main__":
    unittest.main()
