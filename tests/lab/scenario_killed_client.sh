#!/usr/bin/env bash
# A client is killed, without a chance to undo anything, while it carries traffic: the next start leaves the host as it was before
# the first, and carries traffic again.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

# What the client's kernel holds; link-local IPv6 routes come and go with each device's own pace.
host_state() {
	local family
	for family in -4 -6; do
		on client ip "$family" rule
		on client ip "$family" route show table all | grep -v '^\(local \|multicast \|anycast \)\?\(fe80::\|ff00::\)' | sort
	done
	on client ip -o link | sed 's/^[0-9]*: //; s/ qdisc.*//; s/ \(mtu\|link\).*//' | sort
}
is_as() { # FILE
	host_state >"$WORK/now"
	diff "$1" "$WORK/now"
}
has_rules() { on client ip rule | grep '^10100:' >/dev/null; }
journal_is_there() { on client test -s /var/lib/firezone/host.journal; }

start() { client_up client FIREZONE_ACTIVATE_INTERNET_RESOURCE=true; }
# As the service without a token: nothing is set up, what was left is undone.
start_alone() {
	on client rm -f /etc/firezone/token
	lab spawn client firezoned "$BIN/firezoned" && within 10 is_state client signed_out
}

host_state >"$WORK/before"
check "gateway and client come up" eval 'gateway_up && start'
check "the resource is reached" within 20 reaches client
host_state >"$WORK/up"
check "the host is changed" not is_as "$WORK/before"

slowly client 20M 2M
check "traffic flows" within 10 eval '(($(on client cat /sys/class/net/tun-firezone/statistics/rx_bytes) > 1000000))'
lab stop client firezoned KILL
check "what was killed has left rules and a journal" eval 'has_rules && journal_is_there'
check "the next start brings back what was there while it ran" eval 'start && within 10 is_as "$WORK/up"'
check "and traffic flows again" within 20 downloads client 1M
kill "$DOWNLOAD" 2>/dev/null

lab stop client firezoned KILL
check "a start that only waits undoes all of it" eval 'start_alone && is_as "$WORK/before"'
check "nothing is kept of it" not journal_is_there
check "an orderly end changes nothing more" eval 'lab stop client firezoned TERM && is_as "$WORK/before"'

expect_log '^warning: host-leftovers .*journal=none'
check "it comes up once more" start
lab stop client firezoned KILL
on client truncate -s 0 /var/lib/firezone/host.journal
check "an emptied journal is no obstacle" eval 'has_rules && start_alone && is_as "$WORK/before"'
check "and traffic flows again" eval 'lab stop client firezoned TERM && start && within 20 downloads client 1M'
finish
