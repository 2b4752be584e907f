#!/bin/sh
# What an instance runs first, and here all that it runs: a process in a folder of its own, with a real agent beside no media server.
set -eu
printf '%s' '{{token}}' > token
export USHER_AGENT_IMDS="$USHER_FAKE_IMDS"
exec usher-agent --url {{url}} --server {{server}} --token-file token --media none --report-seconds 1 --drain-seconds 1
