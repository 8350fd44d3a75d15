#!/usr/bin/env bash
# firezone-gateway on a booted Debian 12: installed, without a token, with one, removed, purged; and the packages beside it.
source "$(dirname "$0")/lib.sh"
begin systemd-nspawn
check "a Debian 12 boots" boot || finish

service() { inside systemctl "$@" firezone-gateway; }
journal() { inside journalctl --no-pager -o cat -u firezone-gateway; }
state() { property firezone-gateway ActiveState; }
proc() { inside sed -n "s/^$1:\t*//p" "/proc/$(property firezone-gateway MainPID)/status"; }

check "apt installs it from the file" apt install /packages/firezone-gateway.deb || finish
cp "$WORK/out" "$WORK/installed"
check "the installation says what it needs" grep 'needs the token' "$WORK/installed"
check "it is not started, for want of a token" is inactive state
check "nor will it be by itself" is disabled service is-enabled
check "a start without a token fails" exits 1 service start
check "with the status of a configuration that is not right" is 78 property firezone-gateway ExecMainStatus
check "it says where a token can come from" says 'FIREZONE_TOKEN|gateway-token' journal
check "and does not try over and over" is 0 property firezone-gateway NRestarts

inside mkdir -p /etc/credstore
inside sh -c 'umask 077; echo made.up.token >/etc/credstore/FIREZONE_TOKEN'
check "with a token it starts, portal or not" eval 'service enable && service start && [[ $(state) == active ]]'
check "it runs as its user" is firezone-gateway inside ps -o user= -p "$(property firezone-gateway MainPID)"
check "with CAP_NET_ADMIN and no other capability" is 0000000000001000 proc CapEff
check "and can get no other" is 0000000000001000 proc CapBnd
check "it can gain no privileges" is 1 proc NoNewPrivs
check "its system calls are filtered" is 2 proc Seccomp
check "its state is its own" is 'drwx------ firezone-gateway:firezone-gateway' inside stat -c '%A %U:%G' /var/lib/firezone-gateway
check "the token is in no log" not says 'made.up.token' journal
check "it stops" service stop
check "of its own accord" is 0 property firezone-gateway ExecMainStatus
service start
check "it can be seen" inside pgrep -x firezone-gatewa # as the kernel cuts it

check "client, device and library can be installed beside it" apt install \
	/packages/firezone-cli.deb /packages/firezone-wg.deb /packages/libfirezone-client0.deb /packages/libfirezone-client-dev.deb
check "the device runs" says '^firezone-wg [0-9.]+$' inside firezone-wg --version
check "the library finds what it needs" not says 'not found' inside sh -c 'ldd /usr/lib/*/libfirezone-client.so'
check "the gateway still runs" is active state

check "it is removed" apt remove firezone-gateway
check "and stopped" not inside pgrep -x firezone-gatewa
check "it is purged" apt purge firezone-gateway
check "the client's configuration is still there" inside test -f /etc/firezone/firezoned.conf
check "its state is gone" not inside test -e /var/lib/firezone-gateway
check "the others go, too" apt purge firezone-cli firezone-wg libfirezone-client0 libfirezone-client-dev
check "nothing is left" is '' inside find /etc /usr /lib /var/lib -xdev -name '*firezon*' -not -path '/var/lib/dpkg/*' -not -path '/var/lib/apt/*'
check "nothing failed" is '' inside systemctl --failed --plain --no-legend
finish
