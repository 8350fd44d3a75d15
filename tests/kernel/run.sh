#!/usr/bin/env bash
# firezone-wg on Debian's own kernel, with that kernel's WireGuard as the peer. The kernel runs in software emulation, so no
# virtualisation is needed; its TUN knows neither RWF_NOWAIT nor USO, so the fall-backs that users meet are met.
# Usage: run.sh BIN_DIR. Prints one line per sentence of guest.sh and closes with the counts.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "$1" && pwd)
cache="$here/../../build/kernel"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

skip() {
	echo "skipped: $*"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}

[[ $(uname -m) == x86_64 ]] || skip "allowed: the emulated kernel is x86-64"
for tool in qemu-system-x86_64 busybox socat cpio depmod modprobe; do
	command -v "$tool" >/dev/null || skip "$tool is not installed (./dev test kernel installs it)"
done

# The kernel is the distribution's package, unpacked beside the build, never installed.
mkdir -p "$cache"
cd "$cache"
if ! compgen -G 'tree/boot/vmlinuz-*' >/dev/null; then
	package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -n 1)
	[[ -n $package ]] || skip "no kernel package for this system"
	apt-get -q download "$package" >/dev/null 2>&1 || skip "$package cannot be downloaded"
	rm -rf tree
	dpkg-deb -x "$package"_*.deb tree
	rm -f "$package"_*.deb
	depmod -b tree "$(ls tree/lib/modules)"
fi
version=$(ls tree/lib/modules)

mkdir -p "$root"/{bin,programs,dev,proc,sys,run,tmp,etc,modules}
ln -s bin "$root/sbin"

# A program and every library it names, at the same places.
add_program() { # NAME-OR-PATH DIRECTORY
	local path library
	path=$(command -v "$1")
	cp -L "$path" "$root/$2/$(basename "$1")"
	{ ldd "$path" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
}
add_program busybox bin
for program in ip wg ping socat "$bin/firezone-wg"; do
	add_program "$program" programs
done

# In the order in which they must be loaded.
for module in veth tun wireguard; do
	modprobe -d tree -S "$version" --show-depends "$module" | awk '/^insmod/ { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
	cp "$file" "$root/modules/"
	basename "$file"
done >"$root/modules/order"

cp "$here/guest.sh" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . -print0 | cpio --null -o -H newc --quiet | gzip -1) >"$cache/initrd.$$"
trap 'rm -rf "$root" "$cache/initrd.$$" "$cache/console.$$"' EXIT

echo "Linux $version, emulated"
timeout -k 10 540 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 768 -nographic -no-reboot -nodefaults -serial stdio \
	-kernel "tree/boot/vmlinuz-$version" -initrd "$cache/initrd.$$" -append "console=ttyS0 quiet loglevel=1 panic=-1" \
	</dev/null 2>&1 | tr -d '\r' | tee "$cache/console.$$" | grep -aE '^(ok|FAIL|skipped:|# )' || true
counts=$(grep -aE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$cache/console.$$" | tail -n 1)
if [[ -z $counts ]]; then
	tail -n 40 "$cache/console.$$"
	counts="0 passed, 1 failed, 0 skipped"
	echo "FAIL the guest did not reach its end"
fi
echo "$counts"
[[ $counts == *" 0 failed, "* && $counts != "0 passed"* ]]
