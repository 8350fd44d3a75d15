# The container engine of a scenario: sourced after lib.sh and prepare. Storage and state are the scenario's own; no registry is
# asked for anything, and podman's own system-call filter, which has no io_uring in it, is in force.
ENGINE=(--root "$WORK/storage" --runroot "$WORK/run")
engine() { podman "${ENGINE[@]}" --cgroup-manager=cgroupfs "$@"; }
end_engine() {
	engine rm --all --force >/dev/null 2>&1
	within 5 unmounted
}
# What it leaves mounted, innermost first; helpers of its that still run mount it anew.
unmounted() {
	cut -d ' ' -f 2 /proc/mounts | grep "^$WORK/" | tac | xargs -r umount --lazy
	! pgrep -f "$WORK/storage" >/dev/null && ! grep -q " $WORK/" /proc/mounts
}

# A Debian 12 of our own stands in for the one of the registry.
import_base() {
	local base
	base=$("$HERE/root.sh" base "$PACKAGES") && tar -C "$base" -cf - . | engine import - docker.io/library/debian:12-slim
}
make_image() {
	import_base && buildah "${ENGINE[@]}" bud --isolation=chroot --format=docker --pull-never -f "$HERE/../../Dockerfile" -t firezone "$PACKAGES"
}

# What every container here is run with, beside what the image asks for: this machine's runtime and limits.
LIMITS=(--runtime runc --ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

# start NAME OPTION...: in the background, until it answers
start() {
	local name=$1
	shift
	engine run --detach --name "$name" "${LIMITS[@]}" --device /dev/net/tun --cap-add NET_ADMIN "$@" firezone && within 5 answers "$name"
}
answers() { on "$1" status >/dev/null 2>&1; }
on() { engine exec "$1" firezonectl "${@:2}"; }
log() { engine logs "$1" 2>&1; }
exit_code() { engine inspect "$1" --format '{{.State.ExitCode}}'; }
