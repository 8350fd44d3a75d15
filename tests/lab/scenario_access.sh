#!/usr/bin/env bash
# Who may, and for how long: grants that are revoked in mid-flow, that expire, that are refused; filters and resources that change.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "a download works" within 20 downloads client 1M

slowly client 200M 2M
sleep 2
ctl deny office forbidden # else the next packet is granted it anew
ctl reject '*' office >"$WORK/n"
check "one grant is revoked" grep -q '1 grants' "$WORK/n"
moved() { on client bash -c 'a=$(ss -tin dst 10.20.0.10 | grep -o "bytes_received:[0-9]*" | head -1); sleep 2; b=$(ss -tin dst 10.20.0.10 | grep -o "bytes_received:[0-9]*" | head -1); echo "$a $b"; [[ $a != "$b" ]]'; }
check "what flowed stops" within 10 not moved
kill "$DOWNLOAD" 2>/dev/null
wait "$DOWNLOAD" 2>/dev/null
ctl allow
ctl push client resource_deleted "\"$(ctl status | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["resources"]["lab"]["office"])')\""
ctl init client
check "told anew, the client asks and reaches it again" within 15 reaches client

ctl grant-seconds 4
ctl reject '*' office
ctl resource lab office '{"type": "cidr", "address": "10.20.0.0/25", "site": "hq"}'
check "a short grant is good" within 10 reaches client
ctl deny office forbidden
check "until it ends" within 15 reaches_not client
ctl allow
ctl grant-seconds off
check "asked for again, it is good again" within 15 reaches client

ctl resource lab office '{"type": "cidr", "address": "10.20.0.0/24", "site": "hq", "filters": ["tcp/8080"]}'
check "with a filter its port is reached" within 10 reaches client http://10.20.0.10:8080/whoami
check "and others are not" within 10 reaches_not client
ctl resource lab office '{"type": "cidr", "address": "10.20.0.0/24", "site": "hq"}'
check "without it they are again" within 10 reaches client

ctl deny office forbidden
ctl resource lab office '{"type": "cidr", "address": "10.20.0.0/26", "site": "hq"}'
check "a refusal keeps the packets" within 10 reaches_not client
ctl allow
check "until it is taken back" within 15 reaches client
ctl resource lab office null
check "a deleted resource is not reached" within 10 reaches_not client
finish
