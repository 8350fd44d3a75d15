#!/usr/bin/env bash
# Other people's WireGuard, to be measured and tested against: built once from the Go and Rust registries at pinned versions, kept in
# a cache. Prints the path of the program; fails if this machine cannot have it.
#   peers.sh wireguard-go | boringtun | gotatun
set -euo pipefail

GO_MODULE=golang.zx2c4.com/wireguard@v0.0.0-20260522210424-ecfc5a8d5446
BORINGTUN=boringtun-cli@0.7.1
GOTATUN=gotatun-cli@0.10.2
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/firezone-peers

export PATH="$PATH:/usr/local/go/bin:${HOME:-/root}/.cargo/bin"

at_least() { [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]; }

# Each says what is missing.
has_go() {
	local version
	version=$(go env GOVERSION 2>/dev/null | sed 's/^go//') && [[ $version ]] || { echo "Go 1.23 is needed, there is none" && return 1; }
	at_least 1.23 "$version" || { echo "Go 1.23 is needed, this is $version" && return 1; }
}
has_rust() {
	local version
	version=$(command -v cargo >/dev/null && rustc --version 2>/dev/null | cut -d' ' -f2) && [[ $version ]] || { echo "Rust 1.95 is needed, there is none" && return 1; }
	at_least 1.95 "$version" || { echo "Rust 1.95 is needed, this is $version" && return 1; }
}

build_go() { # into $1
	GOBIN=$1 GOFLAGS='' go install "$GO_MODULE"
	mv "$1/wireguard" "$1/wireguard-go"
}
build_rust() { # DIR CRATE
	cargo install --quiet --locked --root "$1" "$2"
	mv "$1"/bin/* "$1/"
}

peer=${1:?usage: peers.sh wireguard-go | boringtun | gotatun}
case $peer in
wireguard-go) version=${GO_MODULE#*@} program=wireguard-go ;;
boringtun) version=${BORINGTUN#*@} program=boringtun-cli ;;
gotatun) version=${GOTATUN#*@} program=gotatun ;;
*)
	echo "unknown peer: $peer" >&2
	exit 2
	;;
esac
dir=$CACHE/$peer-$version
if [[ -x $dir/$program ]]; then
	echo "$dir/$program"
	exit 0
fi
mkdir -p "$CACHE"
# Two scenarios may want it at once: one builds, the other waits.
exec 9>"$CACHE/$peer.lock"
flock 9
if [[ ! -x $dir/$program ]]; then
	work=$(mktemp -d "$CACHE/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	case $peer in
	wireguard-go) has_go >&2 && build_go "$work" >&2 || exit 1 ;;
	boringtun) has_rust >&2 && build_rust "$work" "$BORINGTUN" >&2 || exit 1 ;;
	gotatun) has_rust >&2 && build_rust "$work" "$GOTATUN" >&2 || exit 1 ;;
	esac
	rm -rf "$dir"
	mkdir -p "$dir"
	mv "$work/$program" "$dir/"
fi
echo "$dir/$program"
