#!/bin/sh
# Lists the Janus servers of one pool for Usher: JSON on stdin, JSON on stdout, see README.md.
here=$(dirname -- "$(readlink -f -- "$0")")
command -v python3 >/dev/null || { echo "python3 is not installed: apt-get install python3" >&2; exit 78; }
exec python3 -B "$here/janus_pool.py" list
