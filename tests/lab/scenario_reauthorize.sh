#!/usr/bin/env bash
# A gateway revokes one of a client's two grants, and nobody tells the client: "prohibited" makes it ask again, over both families.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

WEB6='http://[fd20::10]/whoami'
requests() { grep -c '"event": "request_authorization"' "/run/fzlab/$FZ_LAB/transcript.jsonl"; }
sessions() { grep -c '^info: session-up' "/run/fzlab/$FZ_LAB/log/gateway.firezone-gateway"; }
check "gateway and client come up" pair_up
check "an IPv4 resource is reached" within 20 reaches client
check "and an IPv6 one" within 20 reaches client "$WEB6"
asked=$(requests) up=$(sessions)

check "the gateway revokes the first grant" eval '[[ $(ctl reject @client office) == "1 grants" ]]'
check "the client asks again and reaches it" within 10 reaches client
check "by one request more" test "$(requests)" -eq $((asked + 1))
check "the other one was not touched" reaches client "$WEB6"
check "the gateway revokes the second" eval '[[ $(ctl reject @client office6) == "1 grants" ]]'
check "the client asks again and reaches it" within 10 reaches client "$WEB6"
check "by one request more" test "$(requests)" -eq $((asked + 2))
check "all on the same WireGuard session" test "$(sessions)" -eq "$up"

ctl deny office forbidden
check "with the policy gone, a revoked grant stays revoked" eval 'ctl reject @client office && within 10 reaches_not client'
asked=$(requests)
check "while the other one works" throughout 6 reaches client "$WEB6"
reaches_not client
check "and the portal is asked at most every two seconds" test "$(requests)" -le $((asked + 6))
ctl allow
check "until it is allowed again" within 10 reaches client
finish
