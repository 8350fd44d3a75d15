#!/usr/bin/env bash
# firezone-gateway as a process, in a namespace with a portal of a few lines (portal.py): exit codes, health, what it
# does to the host and undoes, reconnecting, secrets.
set -uo pipefail
BIN=$(cd "${1:?usage: $0 BIN_DIR}" && pwd)/firezone-gateway || exit 1
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../support/pids.bash"
PYTHON=/usr/bin/python3
[[ -x $PYTHON ]] || PYTHON=python3
ID=$BASHPID FAILED=0 STARTED=() WORK=$(mktemp -d) || exit 1
NS=fzgp-$ID TOKEN=planted-$ID-secret
PORTAL=$WORK/portal HEALTH=127.0.0.1:8080

cleanup() {
	local p
	for p in ${STARTED[@]+"${STARTED[@]}"}; do end_process KILL "$p"; done
	ip netns delete "$NS" 2>/dev/null
	rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

skip() {
	echo "skipped: $*"
	exit 77
}
check() {
	local sentence=$1
	shift
	if "$@" >"$WORK/out" 2>&1; then
		echo "ok   $sentence"
	else
		echo "FAIL $sentence"
		{ cat "$WORK/out"; [[ ! -e $WORK/log ]] || tail -n 8 "$WORK/log"; } | sed 's/^/       /' | tail -n 20
		FAILED=1
	fi
}
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}
not() { ! "$@"; }

[[ $EUID -eq 0 && -c /dev/net/tun ]] || skip "needs root and /dev/net/tun"
ip netns add "$NS" 2>/dev/null || skip "network namespaces cannot be made"
ip netns exec "$NS" nft list ruleset >/dev/null 2>&1 || skip "needs nft(8) and nf_tables"
ip -n "$NS" link set lo up
ip -n "$NS" link add site type veth peer name site-peer
ip -n "$NS" address add 192.0.2.1/24 dev site
ip -n "$NS" link set site up
ip -n "$NS" link set site-peer up
mkdir -p "$PORTAL" "$WORK/state"
touch "$PORTAL/events"
# As udev makes it; in a container it may be root's alone.
mknod -m 0666 "$WORK/tun" c 10 200 && chmod 0755 "$WORK" || exit 1
cat >"$PORTAL/init" <<'JSON'
{"interface": {"ipv4": "100.64.0.1", "ipv6": "fd00:2021:1111::1"},
 "config": {"ipv4_masquerade_enabled": true, "ipv6_masquerade_enabled": true},
 "relays": [], "account_slug": "lab", "authorizations": [],
 "flow_logs": {"api_url": "http://192.0.2.9", "upload_interval_secs": 0, "upload_batch_size": 1}}
JSON
ip netns exec "$NS" "$PYTHON" "$HERE/portal.py" 8081 "$PORTAL" 2>"$WORK/portal.err" &
STARTED+=("$(process_of "$!")")
within 20 test -e "$PORTAL/requests" || { cat "$WORK/portal.err"; exit 1; }

# Every host of a test has a state directory of its own: a mount namespace gives it the fixed path.
# gateway WORDS...: in the foreground, its environment from ENV
gateway() {
	ip netns exec "$NS" unshare --mount --propagation private bash -c '
		mkdir -p /var/lib/firezone-gateway && mount --bind "$1" /var/lib/firezone-gateway &&
			mount --bind "$2" /dev/net/tun && shift 2 && exec "$@"' \
		sh "$WORK/state" "$WORK/tun" env -i PATH="$PATH" FIREZONE_API_URL=ws://127.0.0.1:8081 FIREZONE_INSECURE_PORTAL=1 \
		FIREZONE_ID=gateway-under-test HEALTH_CHECK_ADDR=$HEALTH LOG_LEVEL=debug \
		ASAN_OPTIONS="${ASAN_OPTIONS:-}" "${ENV[@]}" "$@" </dev/null >>"$WORK/log" 2>&1
}
ENV=("FIREZONE_TOKEN=$TOKEN")
# ends CODE COMMAND...
ends() {
	local want=$1 got
	shift
	timeout 60 "$@"
	got=$?
	[[ $got -eq $want ]] || { echo "exit code $got, want $want"; return 1; }
}
export -f gateway
run() { # CODE WORDS...: the whole life of one
	local want=$1 got
	shift
	gateway timeout 30 "$BIN" "$@"
	got=$?
	[[ $got -eq $want ]] || { echo "exit code $got, want $want"; return 1; }
}
start() { # WORDS...
	gateway "$BIN" "$@" &
	SHELL_PID=$!
	STARTED+=("$(process_of "$SHELL_PID")")
	within 20 running
}
# The gateway's own process, the shells before it having become it.
running() { PID=$(pgrep_in_ns) && [[ -n $PID ]]; }
pgrep_in_ns() {
	local p
	for p in $(ip netns pids "$NS"); do
		[[ $(readlink "/proc/$p/exe") == "$BIN" ]] && echo "$p" && return
	done
	return 1
}
finish() { # SIGNAL: sends it and gives the exit code
	kill -"$1" "$PID"
	wait "$SHELL_PID"
}
answers() { # PATH STATUS
	[[ $(ip netns exec "$NS" "$PYTHON" - "$1" <<'PY'
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen("http://127.0.0.1:8080" + sys.argv[1], timeout=3).status)
except urllib.error.HTTPError as e:
    print(e.code)
except OSError as e:
    print(e)
PY
) == "$2" ]]
}
table() { ip netns exec "$NS" nft list table inet firezone-gateway; }
interface() { ip -n "$NS" link show tun-firezone-gw; }
address() { ip -n "$NS" address show tun-firezone-gw | grep -w "$1" >/dev/null; }
index() { interface | cut -d: -f1 | head -n 1; }
policy() { ip -n "$NS" "$1" rule | grep -E '^(10000|10001|10900):'; }
heard() { grep -F -- "$1" "$PORTAL/events" >/dev/null || { cat "$PORTAL/events"; false; }; }
push() { echo "$1" >>"$PORTAL/push"; }
logged() { grep -E -- "$1" "$WORK/log" >/dev/null; }

# ---- before anything is done to the host ----------------------------------------------------------------------------------
ENV=()
check "without a token it ends with 78" run 78
check "and says where one may be put" logged '/etc/firezone/gateway-token'
check "a token as an argument is refused" run 2 "$TOKEN"
ENV=("FIREZONE_TOKEN=$TOKEN" "FIREZONE_API_URL=nonsense")
check "a bad address ends with 2" run 2
ENV=("FIREZONE_TOKEN=$TOKEN")
check "--check looks and ends" run 0 --check
ENV=("FIREZONE_TOKEN=$TOKEN" "FIREZONE_INSECURE_PORTAL=0")
check "ws:// without the opt-in is refused" run 78
check "nothing was done to the host so far" not interface
ENV=("FIREZONE_TOKEN=$TOKEN")
unprivileged() {
	gateway setpriv --reuid 65534 --clear-groups --bounding-set -all --inh-caps -all --no-new-privs timeout 30 "$BIN"
	[[ $? -eq 77 ]]
}
check "without privileges it ends with 77" unprivileged
check "and says what is missing" logged 'CAP_NET_ADMIN is missing'

# ---- refused by the portal --------------------------------------------------------------------------------------------------
ENV=("FIREZONE_TOKEN=$TOKEN")
echo "401 invalid_token" >"$PORTAL/refuse"
check "a refused token ends it with 77" run 77
check "and the log says why" logged 'session-ended reason=invalid_token'
check "the interface is gone" not interface
check "so is the table" not table

# ---- life -----------------------------------------------------------------------------------------------------------------
echo "503 rate_limit" >"$PORTAL/refuse"
check "it starts while the portal is out of order" start
check "alive is not ready" within 20 answers /readyz 503
check "alive it is" answers /healthz 200
rm "$PORTAL/refuse"
check "it is ready once the portal lets it in" within 30 answers /readyz 200
check "it says that it speaks ICE" heard '["set_snownet_capabilities", {"iceless": false}]'
check "it says what kind of gateway it is" grep -E 'agent=[^ ]+ gateway/[0-9.]+ \(' "$PORTAL/requests"
check "the tunnel has its IPv4 address" address 100.64.0.1/32
check "and its IPv6 address" address fd00:2021:1111::1/128
check "the packet filter has its table" table
check "and policy routing its rules" policy -4
check "a second one is refused" run 69
check "and the first goes on" answers /readyz 200
check "the token is not in its environment" not grep -aF "$TOKEN" "/proc/$PID/environ"
check "nor on its command line" not grep -aF "$TOKEN" "/proc/$PID/cmdline"
capabilities() {
	grep '^Cap' "/proc/$PID/status"
	[[ $(awk '/^Cap(Eff|Prm)/ { print $2 }' "/proc/$PID/status" | sort -u) == 0000000000001400 ]] &&
		[[ $(awk '/^Cap(Bnd|Inh|Amb)/ { print $2 }' "/proc/$PID/status" | sort -u) == 0000000000000000 ]]
}
check "also as root it has two capabilities, changing the network and low ports" capabilities
check "nothing it executes could gain more" grep -q '^NoNewPrivs:.1' "/proc/$PID/status"

client() { # REF RESOURCE
	cat <<JSON
{"event": "create_authorization", "payload": {"ref": "$1", "resource": {"id": "$2", "type": "cidr", "name": "lab", "address": "10.9.0.0/24", "filters": []}, "client": {"id": "c0ffee00-0000-4000-8000-000000000001", "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "preshared_key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "ipv4": "100.64.0.2", "ipv6": "fd00:2021:1111::2"}, "client_ice_credentials": {"username": "abcd", "password": "abcdefghijklmnopqrstuv"}, "gateway_ice_credentials": {"username": "efgh", "password": "efghijklmnopqrstuvwxyz"}, "expires_at": null, "use_iceless": false, "subject": {}}}
JSON
}
R1=5e2c0000-0000-4000-8000-000000000001
push "$(client ref-1 $R1)"
check "an authorization is confirmed with its ref" within 10 heard '["authorization_created", {"ref": "ref-1"}]'
check "the gateway's candidates go to the client" within 10 heard '["broadcast_ice_candidates", {"client_ids": ["c0ffee00-0000-4000-8000-000000000001"]'
was=$(index)
touch "$PORTAL/drop"
check "the portal cut off, it comes back" within 30 bash -c "[[ \$(grep -c phx_join '$PORTAL/events') -ge 2 ]]"
check "and says so after each join" within 10 bash -c "[[ \$(grep -c set_snownet_capabilities '$PORTAL/events') -ge 2 ]]"
check "and is ready again" within 20 answers /readyz 200
check "the interface stayed" test "$(index)" = "$was"
push '{"event": "reject_access", "payload": {"client_id": "c0ffee00-0000-4000-8000-000000000001", "resource_id": "'$R1'"}}'
push '{"event": "nonsense", "payload": {}}'
push '{"event": "create_authorization", "payload": {"ref": "x"}}'
push '{"event": "reject_access", "payload": [1]}'
push "$(client ref-2 $R1)"
check "nonsense from the portal is skipped" within 10 heard '["authorization_created", {"ref": "ref-2"}]'
finish TERM
check "SIGTERM ends it with 0" test $? -eq 0
check "the interface is gone again" not interface
check "the table, too" not table
check "and the IPv4 rules" not policy -4
check "and the IPv6 rules" not policy -6

# ---- the hard way -----------------------------------------------------------------------------------------------------------
check "it starts anew" start
check "and is ready" within 30 answers /readyz 200
finish KILL 2>/dev/null
check "a kill leaves no table" not table
check "but rules" policy -4
check "the next start clears up" start
check "and is ready, too" within 30 answers /readyz 200
joins() { [[ $(grep -c phx_join "$PORTAL/events") -ge $1 ]]; }
push '{"event": "disconnect", "payload": {"reason": "token_expired"}}'
check "told that its token has expired it asks again" within 20 joins $(($(grep -c phx_join "$PORTAL/events") + 1))
check "and goes on where the portal lets it" within 20 answers /readyz 200
echo "401 invalid_token" >"$PORTAL/refuse"
push '{"event": "disconnect", "payload": {"reason": "token_expired"}}'
wait "$SHELL_PID"
check "an expired token ends it with 77" test $? -eq 77
check "and the log says so" logged 'session-ended reason=token_expired'
rm "$PORTAL/refuse"
check "nothing is left" not policy -4

# As the unit runs it: a user of its own, one ambient capability.
chown -R 65534 "$WORK/state"
start_as_user() {
	gateway setpriv --reuid 65534 --clear-groups --bounding-set -all,+net_admin --inh-caps -all,+net_admin \
		--ambient-caps -all,+net_admin --no-new-privs "$BIN" &
	SHELL_PID=$!
	STARTED+=("$(process_of "$SHELL_PID")")
	within 20 running
}
check "as a user of its own it starts" start_as_user
check "and is ready with one capability" within 30 answers /readyz 200
check "with its table" table
finish TERM
check "and ends well" test $? -eq 0
check "leaving nothing" not policy -4
chown -R 0 "$WORK/state"

check "--leave-host-alone starts" start --leave-host-alone
check "and is ready without a table" within 30 answers /readyz 200
check "really without" not table
finish INT
check "SIGINT ends it with 0" test $? -eq 0
check "the token is in no log" not grep -F "$TOKEN" "$WORK/log"
check "nor is the preshared key" not grep -F "AQEBAQEB" "$WORK/log"

[[ $FAILED -eq 0 ]]
