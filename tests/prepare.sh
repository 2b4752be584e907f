#!/bin/sh
# Installs what the tests need, and is quick when it is there: Debian's janus, Node, Python with schemathesis and moto, the wasm
# toolchain. Without root it says what to install.
set -eu
cd "$(dirname "$0")/.."

SCHEMATHESIS=4.32.5
MOTO=5.2.5
VENV=${USHER_VENV:-$HOME/.cache/usher/venv}

say() { printf '%s\n' "prepare: $*" >&2; }

missing=
command -v janus >/dev/null 2>&1 || missing="$missing janus"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v python3 >/dev/null 2>&1 || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "please install, as root: apt-get install -y --no-install-recommends$missing"
        exit 1
    fi
    say "installing Debian's$missing"
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 ||
        { apt-get update >/dev/null && apt-get install -y --no-install-recommends $missing >/dev/null; }
fi

if ! "$VENV/bin/schemathesis" --version 2>/dev/null | grep -q "$SCHEMATHESIS"; then
    say "installing schemathesis $SCHEMATHESIS into $VENV"
    python3 -m venv "$VENV" 2>/dev/null || { say "please install, as root: apt-get install -y python3-venv"; exit 1; }
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$SCHEMATHESIS"
fi

if ! "$VENV/bin/pip" show moto 2>/dev/null | grep -q "Version: $MOTO"; then
    say "installing moto $MOTO into $VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "moto[server,ec2]==$MOTO"
fi

sdk/toolchain.sh find >/dev/null
