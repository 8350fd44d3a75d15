#!/usr/bin/env bash
# Debian 12 roots that the tests copy: made once, then kept.
#   root.sh base PACKAGES_DIR       a minimal one, as container images have
#   root.sh system PACKAGES_DIR     one with systemd and a few tools, in whose apt cache lies what the packages there depend on
# Prints the path. FZ_PACKAGE_ROOT: where they are kept (default: build/package-root).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KIND=${1:?usage: root.sh base|system PACKAGES_DIR}
PACKAGES=$(cd "${2:?usage: root.sh base|system PACKAGES_DIR}" && pwd)
KEEP=${FZ_PACKAGE_ROOT:-$HERE/../../build/package-root}
# Where this machine has its own packages from; debootstrap knows another place if that is not a Debian.
MIRROR=${FZ_MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
	grep -v '^ *#' | grep -oE '[a-z]+://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ' || true)}
SYSTEM=(systemd systemd-sysv dbus iproute2 procps)

mkdir -p "$KEEP"
KEEP=$(realpath "$KEEP")
LOG=$KEEP/log
exec 9>"$KEEP/lock"
flock 9

loudly() { # COMMAND...: its output goes to the log, whose end is shown if it fails
	"$@" >>"$LOG" 2>&1 9>&- || {
		tail -n 5 "$LOG" >&2
		return 1
	}
}

# Under another name until it is whole.
make_base() {
	echo "making a Debian 12 in $KEEP" >&2
	rm -rf "$KEEP/base.new"
	loudly debootstrap --variant=minbase bookworm "$KEEP/base.new" ${MIRROR:+"$MIRROR"}
	mv "$KEEP/base.new" "$KEEP/base"
}

in_root() { # ROOT COMMAND...: nothing starts in there
	chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${@:2}"
}

make_system() {
	local root=$KEEP/system.new
	rm -rf "$root" "$KEEP/depends"
	cp -a --reflink=auto "$KEEP/base" "$root"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	loudly in_root "$root" apt-get -q -o Acquire::Retries=3 update
	loudly in_root "$root" apt-get -q -y -o Acquire::Retries=3 -o DPkg::Options::=--force-unsafe-io \
		install --no-install-recommends "${SYSTEM[@]}"
	# systemd makes one at each root's first start.
	: >"$root/etc/machine-id"
	rm -f "$root/var/lib/dbus/machine-id"
	mv "$root" "$KEEP/system"
}

# What the packages say they depend on: as long as that does not change, the cache holds it.
depends() {
	local deb
	for deb in "$PACKAGES"/*.deb; do dpkg-deb -f "$deb" Package Depends; done
}

fill_cache() {
	local root=$KEEP/system
	mkdir -p "$root/packages"
	cp "$PACKAGES"/*.deb "$root/packages/"
	loudly in_root "$root" sh -c \
		'apt-get -q -y -o Acquire::Retries=3 install --no-install-recommends --download-only /packages/*.deb'
	rm -r "$root/packages"
	depends >"$KEEP/depends"
}

[[ -d $KEEP/base ]] || make_base
if [[ $KIND == system ]]; then
	[[ -d $KEEP/system ]] || make_system
	[[ -f $KEEP/depends && $(depends) == "$(cat "$KEEP/depends")" ]] || fill_cache
fi
echo "$KEEP/$KIND"
