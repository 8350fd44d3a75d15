#!/usr/bin/env bash
# Client and gateway on one host, in one network namespace, with the same CIDR resource and the Internet Resource on: nothing
# goes in circles.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

check "gateway and client come up on one host" eval 'gateway_up && client_up gateway FIREZONE_NAME=both FIREZONE_ACTIVATE_INTERNET_RESOURCE=true'
before() { on gateway cat /sys/class/net/to-nat-gateway/statistics/tx_packets; }
check "the resource is reached" within 20 reaches gateway
n=$(before)
check "a download is whole" downloads gateway 5M
check "the internet is reached, too" within 10 fetch gateway https://portal.lab.test/lab --cacert /etc/firezone/lab-ca.pem
sleep 3
check "and the wire is quiet afterwards" eval '(($(before) - n < 20000))'
check "another client uses the same gateway" eval 'client_up client && downloads client 2M'
finish
