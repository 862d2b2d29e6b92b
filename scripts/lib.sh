# shellcheck shell=bash
# What every script here needs: sourced, never run. Goes to the top of the tree, so that a script works from anywhere.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"

# Servers and network tools live in sbin, which a user's PATH often lacks; Go's own folder is missing from non-login shells.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin
export PATH

# Without a usable git history (an unpacked archive, a clone owned by somebody else) Go can't stamp binaries with the
# commit and refuses to build; an unstamped binary is better than none.
if ! git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
	export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
fi

# have COMMAND: is it there?
have() { command -v "$1" >/dev/null 2>&1; }

# has_go DIR: is there Go code of ours under DIR?
has_go() { [ -d "$1" ] && [ -n "$(find "$1" -name '*.go' -print -quit)" ]; }

# die WORDS: say what is wrong and what to do about it, then stop.
die() {
	printf '%s: %s\n' "${0#"$top"/}" "$*" >&2
	exit 1
}

# again COMMAND: run it, and up to twice again if it fails: what needs the network may fail once for no reason of ours.
again() {
	local pause
	for pause in 5 30; do
		"$@" && return
		printf '%s: %s failed; trying again in %s s\n' "${0#"$top"/}" "$1" "$pause" >&2
		sleep "$pause"
	done
	"$@"
}

# What a check that has nothing to look at ends with, after it said why: neither good nor bad.
# shellcheck disable=SC2034 # for who sources this
skipped=77

# tool NAME ARGUMENTS: run a development tool in the version that tools.mod pins (built once, then cached).
tool() { go tool -modfile=tools.mod "$@"; }
