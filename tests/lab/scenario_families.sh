#!/usr/bin/env bash
# Hosts with one family only reach resources of both; a client behind a firewall without UDP says so and lives.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "a gateway comes up" gateway_up
on client ip address flush dev to-nat-client scope global
on client ip -6 address add 2001:db8:31::2/64 dev to-nat-client nodad
on client ip -6 route replace default via 2001:db8:31::1
check "a client without IPv4 comes up" client_up
check "it reaches an IPv4 resource" within 15 reaches client
check "and an IPv6 one" within 15 reaches client 'http://[fd20::10]/whoami'
check "a download is whole" downloads client 2M
check "it ends" lab stop client firezoned

on client2 ip -6 route del default
on client2 ip -6 address flush dev to-nat-client2 scope global
check "a client without IPv6 comes up" client_up client2
check "it reaches an IPv4 resource" within 15 reaches client2
check "and an IPv6 one" within 15 reaches client2 'http://[fd20::10]/whoami'

on client2 sysctl -q -w net.ipv6.conf.all.disable_ipv6=1
check "a client on a host that has IPv6 switched off comes up" eval 'lab stop client2 firezoned && client_up client2'
check "it reaches an IPv4 resource" within 15 reaches client2
finish
