# Shared by the package scenarios: sourced with the directory of the packages as $1. A scenario gets a Debian 12 of its own, a copy
# of root.sh's, boots it in a container and says sentences about it.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PACKAGES=$(cd "${1:?usage: $0 PACKAGES_DIR}" && pwd) || exit 1
FAILED=0
WORK=
MACHINE= # systemd-nspawn, while it runs
INIT= # its process 1

skip() {
	echo "skipped: $*"
	exit 77
}

# What a scenario of another kind does at its end, while WORK is still there.
at_end() { :; }

# prepare TOOL...: WORK is there, and goes when the scenario ends
prepare() {
	local tool
	[[ $EUID -eq 0 ]] || skip "allowed: needs root for containers"
	[[ -c /dev/net/tun ]] || skip "needs /dev/net/tun"
	for tool in debootstrap dpkg-deb "$@"; do
		command -v "$tool" >/dev/null || skip "needs $tool (./dev setup)"
	done
	WORK=$(mktemp -d) || exit 1
	trap end EXIT
	trap 'exit 130' INT TERM
}

# begin TOOL...: WORK/system is a fresh Debian, the packages are in its /packages as NAME.deb.
begin() {
	local root deb
	prepare "$@"
	root=$("$HERE/root.sh" system "$PACKAGES") || skip "no Debian 12 root could be made: is the mirror of the packages reachable?"
	cp -a --reflink=auto "$root" "$WORK/system" || exit 1
	mkdir "$WORK/system/packages" || exit 1
	for deb in "$PACKAGES"/*.deb; do
		cp "$deb" "$WORK/system/packages/$(dpkg-deb -f "$deb" Package).deb" || exit 1
	done
}

# The same content under a later version, as an upgrade brings it.
later_package() { # NAME
	local dir=$WORK/later
	rm -rf "$dir"
	dpkg-deb -R "$WORK/system/packages/$1.deb" "$dir" && sed -i 's/^Version: .*/&+later/' "$dir/DEBIAN/control" &&
		dpkg-deb --root-owner-group -b "$dir" "$WORK/system/packages/$1-later.deb"
}

boot() { # [OPTION...]: of systemd-nspawn, e.g. another network than none
	[[ $# -gt 0 ]] || set -- --private-network
	systemd-nspawn --quiet --register=no --resolv-conf=off --keep-unit --boot --directory="$WORK/system" --machine="fzpkg$$" "$@" \
		--capability=CAP_NET_ADMIN --console=pipe </dev/null >"$WORK/console" 2>&1 &
	MACHINE=$!
	within 30 find_init || {
		tail -n 20 "$WORK/console"
		return 1
	}
	# As udev makes it on a machine: for everybody, since it gives nothing without CAP_NET_ADMIN.
	inside sh -c 'mkdir -p /dev/net && rm -f /dev/net/tun && mknod -m 0666 /dev/net/tun c 10 200' || return 1
	inside systemctl is-system-running --wait >"$WORK/state" || true
	[[ $(cat "$WORK/state") == running ]] || {
		echo "the system is: $(cat "$WORK/state")"
		inside systemctl --failed --no-pager
		return 1
	}
}

# Its socket is there as soon as its systemd can be asked.
find_init() {
	kill -0 "$MACHINE" || return 1
	INIT=$(ps -o pid= --ppid "$MACHINE" | tr -d ' ' | head -n 1)
	[[ -n $INIT ]] && inside test -S /run/systemd/private 2>/dev/null
}

inside() {
	nsenter --target "$INIT" --mount --uts --ipc --net --pid --cgroup -- \
		env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# as USER COMMAND...: with the groups the user has at this moment
as() {
	local user=$1
	shift
	inside runuser -u "$user" -- "$@"
}

# Without a network: from the local files, and dependencies from the cache of root.sh.
apt() { inside apt-get -q -y --no-install-recommends "$@"; }

# The order to power off, as systemd takes it.
halt() {
	[[ -z $INIT ]] || kill -RTMIN+4 "$INIT" 2>/dev/null
	within 10 gone
}
gone() { ! kill -0 "$MACHINE" 2>/dev/null; }

end() {
	local status=$?
	trap - EXIT
	if [[ -n $INIT && $status -ne 0 && $status -ne 77 ]] && ! gone; then
		echo "---- journal"
		inside journalctl --no-pager -o short-monotonic -u 'firezone*' -n 60 | cut -c 1-300
	fi
	if [[ -n $MACHINE ]]; then
		halt || kill -KILL "$MACHINE" 2>/dev/null
		wait "$MACHINE" 2>/dev/null
	fi
	at_end
	[[ -z $WORK ]] || rm -rf --one-file-system "$WORK"
	exit "$status"
}

finish() {
	[[ $FAILED -eq 0 ]]
	exit
}

# ---- sentences ---------------------------------------------------------------------------------------------------------

check() { # SENTENCE COMMAND...: false if it failed
	local sentence=$1
	shift
	if "$@" >"$WORK/out" 2>&1; then
		echo "ok   $sentence"
	else
		echo "FAIL $sentence"
		tail -n 20 "$WORK/out" | sed 's/^/       /'
		FAILED=1
		return 1
	fi
}

not() { ! "$@"; }

# exits STATUS COMMAND...
exits() {
	local status=0 wanted=$1
	shift
	"$@" || status=$?
	[[ $status -eq $wanted ]] || {
		echo "exit status $status instead of $wanted"
		return 1
	}
}

# says PATTERN COMMAND...: on either stream
says() {
	local pattern=$1 text
	shift
	text=$("$@" 2>&1)
	grep -qE -- "$pattern" <<<"$text" || {
		echo "no \"$pattern\" in: $text"
		return 1
	}
}

# is TEXT COMMAND...: exactly
is() {
	local wanted=$1 text
	shift
	text=$("$@" 2>&1)
	[[ $text == "$wanted" ]] || {
		echo "\"$text\" instead of \"$wanted\""
		return 1
	}
}

# SECONDS are those of an idle machine; a busy one gets four times as many before it is a failure.
within() { # SECONDS COMMAND...
	local end=$((SECONDS + 4 * $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

# property UNIT NAME: one value
property() { inside systemctl show --value -p "$2" "$1"; }
