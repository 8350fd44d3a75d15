#!/usr/bin/env bash
# The container image: built of the package and run by podman, whose system-call filter has no io_uring in it.
source "$(dirname "$0")/lib.sh"
prepare podman buildah runc

source "$HERE/engine.sh"
at_end() { end_engine; }

# A daemon that ends by itself: its exit status
run() {
	engine run --rm "${LIMITS[@]}" --network none "$@"
}
count() { # PATTERN NAME
	log "$2" | grep -c "$1"
}
has() { # NAME KEY VALUE ARGS...
	says "\"$2\": *\"?$3\"?[,}]?" on "$1" --json "${@:4}"
}

# ---- the image -----------------------------------------------------------------------------------------------------------

"$HERE/root.sh" base "$PACKAGES" >/dev/null || skip "no Debian 12 could be made: is the mirror of the packages reachable?"
check "the image is built of the package" make_image || finish
check "it needs no arguments, and says its version with one" says '^firezoned [0-9.]+$' run firezone --version
check "its health is looked at" says 'firezonectl' engine inspect firezone --format '{{.HealthCheck}}'

# ---- waiting for a person ------------------------------------------------------------------------------------------------

check "it runs all the time" start waiting --network none
check "and answers firezonectl" says 'signed out' on waiting status
check "it is healthy" on waiting health
check "others in the container are refused" exits 5 engine exec --user nobody waiting firezonectl status
check "it keeps one capability" is 0000000000001000 engine exec waiting sed -n 's/^CapEff:\t//p' /proc/1/status
check "told to stop, it does" engine stop --time 20 waiting
check "with exit status 0" is 0 exit_code waiting

# ---- service mode --------------------------------------------------------------------------------------------------------

check "with a token in its environment it is in service mode" start serving --network none -e FIREZONE_TOKEN=made.up.token -v state:/var/lib/firezone
check "by that token" has serving source environment token status
check "which the environment no longer has" not engine exec serving grep -a made.up.token /proc/1/environ
check "nor does the log" not says made.up.token log serving
check "nobody can sign in" exits 7 on serving sign-in
check "the tunnel's device is there" engine exec serving test -e /sys/class/net/tun-firezone
check "io_uring is barred, and the log names the cause" says 'io-uring-barred cause=.*(seccomp|filter).*using=epoll' log serving
check "once" is 1 count io-uring-barred serving
check "packets go by epoll" says 'node-started .*io=epoll' log serving
check "what it can do is measured" says '[0-9] .?bit/s' on serving bench --loopback --time 300ms
id() { engine exec "$1" cat /var/lib/firezone/device.json; }
before=$(id serving)
check "it stops with exit status 0" eval 'engine stop --time 20 serving && is 0 exit_code serving'
check "it starts again" eval 'engine start serving && within 5 answers serving'
check "in service mode" has serving service_mode true status
check "as the same device" is "$before" id serving
engine rm --force serving >/dev/null 2>&1
check "so does another container with its volume" start again --network none -e FIREZONE_TOKEN=made.up.token -v state:/var/lib/firezone
check "as the same device, too" is "$before" id again

echo made.up.token >"$WORK/secret"
chmod 444 "$WORK/secret"
check "a token as a secret's file will do, too" start secret --network none -e FIREZONE_TOKEN=/run/secrets/token -v "$WORK/secret:/run/secrets/token:ro"
check "it is read" has secret verdict untried token status

# ---- with less -----------------------------------------------------------------------------------------------------------

check "it makes do with one capability and a read-only root" start least --network none --cap-drop ALL --cap-add NET_ADMIN --read-only --tmpfs /run \
	-e FIREZONE_TOKEN=made.up.token
check "and says what that costs" says 'no-group.*CAP_CHOWN' log least
check "the tunnel's device is there, too" engine exec least test -e /sys/class/net/tun-firezone
check "without NET_ADMIN it says so, and ends" exits 77 run firezone
check "naming the capability" says CAP_NET_ADMIN run firezone
finish
