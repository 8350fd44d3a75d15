#!/usr/bin/env bash
# The portal goes away in the middle of a download, comes back, breaks off connections: what flows goes on.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up" pair_up
check "a download works" downloads client 1M
check "over IPv6, too" downloads client 1M 'http://[fd20::10]'
slowly client 12M 2M
lab portal kill
check "the client says that it reconnects" within 20 is_state client reconnecting
check "the tunnel carries on without a portal" reaches client
check "over IPv6, too" reaches client 'http://[fd20::10]/whoami'
lab portal start
check "the client is back" within 30 is_state client up
check "and the gateway" within 30 joined gateway
check "the download ends whole" finished_well
check "the next one works" downloads client 1M

slowly client 8M 2M
ctl abort '*'
check "a connection that breaks off is made again" within 20 joined client
ctl close client
sleep 1
check "and one that is closed" within 20 joined client
ctl push client phx_close '{}'
check "the download ends whole" finished_well
check "the client is up" within 20 is_state client up

ctl resource lab extra '{"type": "cidr", "address": "10.21.0.10/32", "site": "hq"}'
check "a resource that is added is reached" within 15 reaches client http://10.21.0.10/whoami
ctl resource lab extra null
check "and is not when it is gone" within 15 reaches_not client http://10.21.0.10/whoami
expect_log '^warning: portal-down '
finish
