#!/bin/sh
# Finds or installs what builds policies for WebAssembly, and builds one. `usher policy build` runs the same script.
#
#   sdk/toolchain.sh find              says which way serves on this machine; installs it if none does
#   sdk/toolchain.sh build CRATE OUT   builds the policy in the folder CRATE; OUT is a folder, or a file that ends in .wasm
#
#   --no-install    says what to install instead of installing it
#   --quiet         says nothing where all goes well
#
# Ways, the first that is there wins:
#   target     some rustc has the target wasm32-unknown-unknown (`rustup target add`, or Debian's libstd-rust-dev-wasm32)
#   build-std  some rustc has its library's source and there is a wasm linker (Debian's rustc-web, where rustup cannot download)
#
# Guests have a target folder of their own ($USHER_GUESTS_DIR, default ~/.cache/usher/guests): another compiler builds them, and
# sharing the host's folder would build both anew each time. Crates that are there are used without asking the network.
# A crate that has no [profile.release] of its own gets that of a guest. Modules use SIMD, which a decision is 3 % faster with; a crate's
# own [target.wasm32-unknown-unknown] rustflags are added, and those of [build] do not count, as cargo has it.
# A module appears at OUT complete or not at all: it is written beside it under a name that Usher does not look at, then renamed.
set -eu

TARGET=wasm32-unknown-unknown
# `rustup target add` hangs rather than fails where its downloads are not reachable. It fetches 20 MB.
RUSTUP_SECONDS_MAX=60
DEBIAN_PACKAGES="rustc-web cargo-web rust-web-src lld-19"

# The exit status where nothing builds for WebAssembly; what does not build, for whatever reason, exits with 1.
NO_TOOLCHAIN=3

IS_INSTALLING=yes
IS_QUIET=

say() { printf '%s\n' "toolchain: $*" >&2; }
say_done() { [ -n "$IS_QUIET" ] || say "$*"; }
die() { say "$*"; exit 1; }

# A cargo that runs us (in a test, say) leaves its own settings behind; they are for the host.
unset RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTDOC RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET LD_LIBRARY_PATH \
    CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR 2>/dev/null || true

# Prints where a rustc keeps things, or nothing: the name of a folder of its that exists.
target_of() { dir=$("$1" --print target-libdir --target "$TARGET" 2>/dev/null) && [ -d "$dir" ] && printf '%s' "$dir"; }
source_of() {
    dir=$("$1" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/std && [ -d "$dir" ] && printf '%s' "$dir"
}

# Sets LINKER to a wasm linker of the system.
find_linker() {
    for LINKER in wasm-ld wasm-ld-19 wasm-ld-20 wasm-ld-18 wasm-ld-17 wasm-ld-16; do
        command -v "$LINKER" >/dev/null 2>&1 && return 0
    done
    LINKER=
    return 1
}

# Sets WAY, RUSTC and CARGO, or fails.
find_way() {
    for RUSTC in rustc /usr/bin/rustc; do
        CARGO=${RUSTC%rustc}cargo
        command -v "$RUSTC" >/dev/null 2>&1 && command -v "$CARGO" >/dev/null 2>&1 || continue
        if target_of "$RUSTC" >/dev/null; then WAY=target; find_linker || true; return 0; fi
    done
    find_linker || return 1
    for RUSTC in /usr/bin/rustc rustc; do
        CARGO=${RUSTC%rustc}cargo
        command -v "$RUSTC" >/dev/null 2>&1 && command -v "$CARGO" >/dev/null 2>&1 || continue
        if source_of "$RUSTC" >/dev/null; then WAY=build-std; return 0; fi
    done
    return 1
}

install_way() {
    if command -v rustup >/dev/null 2>&1; then
        say "asking rustup for $TARGET (at most $RUSTUP_SECONDS_MAX s)"
        timeout "$RUSTUP_SECONDS_MAX" rustup target add "$TARGET" >&2 && find_way && return 0
        say "rustup could not"
    fi
    if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        say "installing Debian's $DEBIAN_PACKAGES"
        # shellcheck disable=SC2086
        { apt-get install -y --no-install-recommends $DEBIAN_PACKAGES ||
            { apt-get update && apt-get install -y --no-install-recommends $DEBIAN_PACKAGES; }; } >&2 || true
        find_way && return 0
    fi
    return 1
}

ensure_way() {
    find_way && return 0
    [ -n "$IS_INSTALLING" ] && install_way && return 0
    found=$(rustc --version 2>/dev/null || echo "there is no rustc at all (https://rustup.rs)")
    say "nothing here builds for $TARGET: $found. Install one of:
    rustup target add $TARGET
    apt-get install -y --no-install-recommends $DEBIAN_PACKAGES      (Debian, as root)"
    exit "$NO_TOOLCHAIN"
}

# The extra arguments to cargo, and the environment, that the way needs.
prepare_cargo() {
    export RUSTC
    grep -q '^\[profile\.release\]' Cargo.toml ||
        export CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_LTO=true CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
            CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_STRIP=true CARGO_PROFILE_RELEASE_DEBUG=false
    set --
    case $WAY in
    target)
        # rustup brings its own linker; Debian's compiler takes the system's.
        [ -n "$LINKER" ] && [ "$RUSTC" = /usr/bin/rustc ] && export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$LINKER"
        ;;
    build-std)
        export RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$LINKER"
        set -- -Zbuild-std=std,panic_abort
        ;;
    esac
    # Asks only whether all crates are there; `-Zbuild-std` has some of its own.
    "$CARGO" fetch "$@" --offline --target "$TARGET" >/dev/null 2>&1 && set -- "$@" --offline
    CARGO_EXTRA=$*
}

# Cargo knows a crate by its name and its place below its workspace: of two folders with a crate of the same name it would take the
# one's module for the other's. So whose module is there is written down, and another's is forgotten. One build at a time, as cargo
# has it anyway, until the module is copied.
claim_guests() {
    mkdir -p "$GUESTS/owners"
    exec 9>"$GUESTS/owners/.lock"
    command -v flock >/dev/null 2>&1 && flock 9
    package=$(sed -n 's/^name *= *"\(.*\)".*/\1/p' Cargo.toml | head -n 1)
    owner=$GUESTS/owners/$package
    [ "$(cat "$owner" 2>/dev/null)" = "$PWD" ] && return 0
    rm -rf "$GUESTS/$TARGET/release/.fingerprint/$package-"????????????????
    printf '%s' "$PWD" >"$owner"
}

build() {
    [ -f "$1/Cargo.toml" ] || die "there is no ${1%/}/Cargo.toml"
    case $2 in
    *.wasm) folder=$(dirname "$2") file=$(basename "$2") ;;
    *) folder=$2 file= ;;
    esac
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    GUESTS=${USHER_GUESTS_DIR:-$HOME/.cache/usher/guests}
    case $GUESTS in /*) ;; *) GUESTS=$PWD/$GUESTS ;; esac
    # Within the crate, so that its own .cargo/config.toml and rust-toolchain.toml count.
    cd "$1"
    ensure_way
    prepare_cargo
    claim_guests
    # shellcheck disable=SC2086
    artifacts=$("$CARGO" build $CARGO_EXTRA --config "target.$TARGET.rustflags=['-Ctarget-feature=+simd128']" \
        --lib --release --target "$TARGET" --target-dir "$GUESTS" \
        --message-format json-render-diagnostics) || exit 1
    # The policy itself is compiled last, so its module is the last one named.
    module=$(printf '%s\n' "$artifacts" | grep -o '"[^"]*\.wasm"' | tail -n 1 | tr -d '"')
    [ -n "$module" ] || die "$PWD makes no module: the [lib] of its Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]"
    [ -n "$file" ] || file=$(basename "$module")
    part=$folder/.$file.part-$$
    trap 'rm -f "$part"' EXIT
    cp "$module" "$part"
    sync "$part"
    mv "$part" "$folder/$file"
    size=$(($(wc -c <"$folder/$file") / 1024))
    say_done "$folder/$file, $size KiB, built by $("$RUSTC" --version | cut -d' ' -f1,2) ($WAY)"
}

while :; do
    case ${1:-} in
    --no-install) IS_INSTALLING= ;;
    --quiet) IS_QUIET=yes ;;
    *) break ;;
    esac
    shift
done
case ${1:-} in
find)
    [ $# = 1 ] || die "usage: $0 find"
    ensure_way
    say_done "$WAY by $("$RUSTC" --version)"
    ;;
build)
    [ $# = 3 ] || die "usage: $0 build CRATE OUT"
    build "$2" "$3"
    ;;
*) die "usage: $0 [--no-install] [--quiet] find | build CRATE OUT" ;;
esac
