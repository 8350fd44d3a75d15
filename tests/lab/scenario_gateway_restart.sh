#!/usr/bin/env bash
# Gateways end, politely and not, and start again; with two of them the other one takes over.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "a download works" within 20 downloads client 1M
lab stop gateway firezone-gateway TERM
check "a gateway that ends is not reached" within 10 reaches_not client
check "the gateway starts again" gateway_up
check "and is reached" within 20 reaches client
lab stop gateway firezone-gateway KILL
check "the gateway that was killed starts again" gateway_up
check "and is reached" within 40 reaches client
check "a download works" within 20 downloads client 5M

check "a second gateway comes up" gateway_up gateway2
check "the first goes" lab stop gateway firezone-gateway TERM
check "the second takes over" within 20 reaches client
forwards() { [[ $(fetch client "$WEB/whoami") == "$1" ]]; }
check "and is the one that forwards" within 20 forwards 10.20.0.2
# One that was killed left its allocation at coturn, which gives none to the next one's name at that address.
expect_log '^warning: no-relays '
finish
