#!/usr/bin/env bash
# Gateways that have one family only, outside: resources of both are reached through them all the same.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

both() { within 20 reaches client && within 15 reaches client 'http://[fd20::10]/whoami'; }
on gateway ip -6 address flush dev to-nat-gateway scope global
check "a gateway without IPv6 outside comes up, and a client" pair_up
check "resources of both families are reached" both
check "10 MB arrive whole" downloads client 10M
check "and over IPv6 inside" downloads client 2M 'http://[fd20::10]'
check "the client stops" lab stop client firezoned
check "and the gateway" lab stop gateway firezone-gateway

on gateway ip -6 address add 2001:db8:41::2/64 dev to-nat-gateway nodad
on gateway ip -6 route replace default via 2001:db8:41::1
on gateway ip -4 address flush dev to-nat-gateway scope global
check "a gateway without IPv4 outside comes up, and a client" pair_up
check "resources of both families are reached" both
check "10 MB arrive whole" downloads client 10M
check "and over IPv6 inside" downloads client 2M 'http://[fd20::10]'
finish
