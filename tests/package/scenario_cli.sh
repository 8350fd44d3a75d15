#!/usr/bin/env bash
# firezone-cli on a booted Debian 12: installed, asked by three kinds of people, reloaded, in service mode, stopped, upgraded, removed,
# purged, and back to what was before.
source "$(dirname "$0")/lib.sh"
begin systemd-nspawn
later_package firezone-cli >"$WORK/later.log" 2>&1 || cat "$WORK/later.log"
check "a Debian 12 boots" boot || finish

# What is there, but for what packages and their management keep for themselves. Directories alone are no leftovers of files.
everything() {
	inside find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp -o -path /packages -o -path /var/log \
		-o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/systemd/timers -o -path /root \
		-o -path /etc/credstore \) -prune -o -print | sort
}
pid() { property firezoned MainPID; }
service() { inside systemctl "$@" firezoned; }
mode() { inside stat -c '%A %U:%G' "$1"; }
journal() { inside journalctl --no-pager -o cat -u firezoned; }
group_of() { inside id -nG "$1"; }
state_of() { property "$1" ActiveState; }
json() { inside firezonectl --json "$@"; }
# COMMAND's JSON has KEY with VALUE, as text
has() { # KEY VALUE ARGS...
	says "\"$1\": *\"?$2\"?[,}]?" json "${@:3}"
}

# The dependencies first, so that what the package itself leaves can be told from what they leave.
apt install /packages/firezone-cli.deb >"$WORK/dependencies" 2>&1
apt purge firezone-cli >>"$WORK/dependencies" 2>&1
inside useradd -m alice
inside useradd -m mallory
everything >"$WORK/before"
inside userdel firezoned 2>/dev/null
inside groupdel firezone 2>/dev/null

# ---- installed -----------------------------------------------------------------------------------------------------------

check "apt installs it from the file" apt install /packages/firezone-cli.deb || finish
cp "$WORK/out" "$WORK/installed"
check "the installation says who may use it" grep 'usermod -aG firezone NAME' "$WORK/installed"
check "the daemon's user is in a group of its own" is firezoned group_of firezoned
check "the group for people is there, and empty" says '^firezone:x:[0-9]+:$' inside getent group firezone
check "the socket listens" is active state_of firezoned.socket
check "the daemon waits to be asked" is inactive state_of firezoned.service
check "both are there after the next boot" is $'enabled\nenabled' inside systemctl is-enabled firezoned.service firezoned.socket
check "the socket is root's, and the group's" is 'srw-rw---- root:firezone' mode /run/firezone/firezoned.sock
check "so is its directory, which all may enter" is 'drwxr-xr-x root:root' mode /run/firezone
check "the configuration that comes with it has no mistakes" says 'no token source' inside firezoned --check
check "completions are where shells look" inside ls /usr/share/bash-completion/completions/firezonectl \
	/usr/share/zsh/vendor-completions/_firezonectl /usr/share/fish/vendor_completions.d/firezonectl.fish

# ---- who may ask -----------------------------------------------------------------------------------------------------------

inside usermod -aG firezone alice
check "a member asks, and that starts the daemon" says 'signed out' as alice firezonectl status
check "it is active now" is active state_of firezoned.service
check "root may ask, too" says 'signed out' inside firezonectl status
check "an outsider is refused" exits 5 as mallory firezonectl status
check "and hears how to become a member" says 'usermod' as mallory firezonectl status
check "it runs as its user" is firezoned inside ps -o user= -p "$(pid)"
proc() { inside sed -n "s/^$1:\t*//p" "/proc/$(pid)/status"; }
check "with CAP_NET_ADMIN and no other capability" is 0000000000001000 proc CapEff
check "and can get no other" is 0000000000001000 proc CapBnd
check "it can gain no privileges" is 1 proc NoNewPrivs
check "its system calls are filtered" is 2 proc Seccomp
check "its state is its own" is 'drwx------ firezoned:firezoned' mode /var/lib/firezone
check "its crypto works below the sandbox" inside firezonectl bench --loopback --time 200ms

# What a session does first, below the same sandbox: a TUN device, an address, a policy rule.
inside mkdir -p /run/systemd/system/firezoned.service.d
inside tee /run/systemd/system/firezoned.service.d/probe.conf >/dev/null <<-'CONF'
	[Service]
	ExecStartPre=ip tuntap add dev fzprobe mode tun
	ExecStartPre=ip address add 100.64.0.1/32 dev fzprobe
	ExecStartPre=ip rule add pref 32000 lookup 4242
	ExecStartPre=ip rule del pref 32000
	ExecStartPre=ip tuntap del dev fzprobe mode tun
	ExecStartPre=sh -c '! touch /etc/firezone/written && ! touch /usr/written && touch /var/lib/firezone/written && rm /var/lib/firezone/written'
CONF
inside systemctl daemon-reload
check "the sandbox lets it change the network, and no files but its own" service restart
inside rm -r /run/systemd/system/firezoned.service.d
inside systemctl daemon-reload

# ---- reload ------------------------------------------------------------------------------------------------------------------

before=$(pid)
inside sh -c 'echo "device_name = front-desk" >/etc/firezone/firezoned.conf.d/10-name.conf'
check "it reloads" service reload
check "and goes by the new settings" says 'front-desk.*10-name.conf' inside firezonectl settings get device_name
inside sh -c 'echo "no such setting" >/etc/firezone/firezoned.conf.d/20-wrong.conf'
service reload
check "a reload with a mistake leaves all as it was" says 'front-desk' inside firezonectl settings get device_name
check "and says where the mistake is" says '20-wrong.conf.*line=1' journal
check "it is the same process" is "$before" pid
check "with that mistake it does not start, and does not try over and over" exits 1 service restart
check "its exit status says: configuration" is 78 property firezoned.service ExecMainStatus
check "a person who asks hears what to do" says 'systemctl|journalctl' as alice firezonectl --timeout 3s status
inside rm /etc/firezone/firezoned.conf.d/20-wrong.conf
inside systemctl reset-failed firezoned.service firezoned.socket
check "mended, it starts" service start
check "and answers" says 'signed out' as alice firezonectl status

# ---- service mode ------------------------------------------------------------------------------------------------------------

put_token() { # FILE OWNER
	inside sh -c "echo made.up.token >'$1' && chown $2 '$1' && chmod 600 '$1'"
}
put_token /etc/firezone/token firezoned
check "a token file counts from the next reload" service reload
check "that is service mode" has service_mode true status
check "nobody can sign in then" exits 7 as alice firezonectl sign-in
put_token /etc/firezone/token root
service reload
check "a file the daemon cannot read is service mode, too, with what to do" says 'token import' inside firezonectl status
inside rm /etc/firezone/token
inside mkdir -p /etc/credstore
put_token /etc/credstore/firezone-token root
check "a credential counts from the next start" service restart
check "and is where the token comes from" has source credential token status
check "the token is in no log" not says 'made.up.token' journal
inside rm /etc/credstore/firezone-token
service restart
check "without any it waits for a person again" has service_mode false status
check "root can hand over a token" inside sh -c 'echo made.up.token | firezonectl token import --stdin'
check "it is kept, for the daemon alone" is '-rw------- firezoned:firezoned' mode /var/lib/firezone/token
inside firezonectl settings set log_filter debug

# ---- stopped, killed, upgraded -----------------------------------------------------------------------------------------------

check "it stops" service stop
check "of its own accord" is 0 property firezoned.service ExecMainStatus
check "the next question starts it" has service_mode true status
before=$(pid)
service kill --signal=KILL
check "killed, it is started again" within 10 eval '[[ $(pid) != 0 && $(pid) != "$before" ]]'
check "and answers" has service_mode true status
before=$(pid)
socket_before=$(property firezoned.socket ActiveEnterTimestampMonotonic)
inside sh -c 'echo "# a line of the administrator" >>/etc/firezone/firezoned.conf'
check "it is upgraded" apt install /packages/firezone-cli-later.deb
check "to the later version" says 'later$' inside dpkg-query -W firezone-cli
check "the daemon was restarted" eval '[[ $(pid) != 0 && $(pid) != "$before" ]]'
check "the socket was not: who asked meanwhile waits" is "$socket_before" property firezoned.socket ActiveEnterTimestampMonotonic
check "the token is kept" has source imported token status
check "settings are kept" says 'debug' inside firezonectl settings get log_filter
check "the administrator's configuration is kept" says 'line of the administrator' inside tail -n 1 /etc/firezone/firezoned.conf

# ---- removed, purged ---------------------------------------------------------------------------------------------------------

check "it can be seen" inside pgrep -x firezoned
check "it is removed" apt remove firezone-cli
check "its daemon is gone" not inside pgrep -x firezoned
check "so are socket and directory" not inside test -e /run/firezone
check "and the units" is '' inside systemctl list-unit-files --no-legend 'firezone*'
check "configuration and state are still there" inside test -f /etc/firezone/firezoned.conf -a -f /var/lib/firezone/token
check "installed again, it has its token" eval 'apt install /packages/firezone-cli-later.deb && has source imported token status'
check "it is purged" apt purge firezone-cli
check "the user stays, as Debian's do" is firezoned group_of firezoned
everything >"$WORK/after"
leftovers() { diff "$WORK/before" "$WORK/after"; }
check "nothing else is left" leftovers
check "nothing failed" is '' inside systemctl --failed --plain --no-legend
finish
