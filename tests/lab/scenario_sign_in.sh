#!/usr/bin/env bash
# People sign in: a token to paste, the deep link of a browser, a link that is not ours; they sign out, and sessions end.
source "$(dirname "$0")/lib.sh"
begin firezoned firezone-gateway firezonectl

FZ="on client $BIN/firezonectl"
check "a gateway comes up" gateway_up
lab client client
on client rm /etc/firezone/token
lab stop client firezoned
lab spawn client firezoned env FIREZONE_API_URL=wss://portal.lab.test/ FIREZONE_AUTH_BASE_URL=https://portal.lab.test \
	FIREZONE_CA_FILE=/etc/firezone/lab-ca.pem FIREZONE_NAME=client "$BIN/firezoned"
check "without a token the client waits to be signed in" within 10 eval '[[ $(field client state) == *[sS][iI][gG][nN][eE][dD]*[oO][uU][tT]* ]]'

# What a browser does with the address it is given: the page, a click, and where that leads.
on client bash -c 'cat >/run/click && chmod +x /run/click' <<'EOF'
#!/bin/bash
# click URL ACTOR: prints the link, or the token that the page shows
words=()
IFS='&' read -ra pairs <<<"${1#*\?}"
for pair in "${pairs[@]}"; do words+=(-d "$pair"); done
answer=$(curl -sS -i -m 10 --cacert /etc/firezone/lab-ca.pem -d "actor=$2" "${words[@]}" "${1%%\?*}/sign_in")
link=$(sed -n 's/^[Ll]ocation: //p' <<<"$answer" | tr -d '\r')
[[ -n $link ]] || link=$(sed -n 's/.*<pre id=token>\([^<]*\).*/\1/p' <<<"$answer")
echo "$link"
EOF
# xdg-open for a desktop of one person, who signs in as the one named in /run/who.
on client mkdir -p /run/desktop
on client bash -c 'cat >/run/desktop/xdg-open && chmod +x /run/desktop/xdg-open' <<EOF
#!/bin/bash
/run/click "\$1" "\$(cat /run/who)" >/run/link
EOF

token=$(on client /run/click 'https://portal.lab.test/lab?as=headless-client' alice)
pasted() { on client bash -c "printf '%s\n' '$1' | '$BIN/firezonectl' sign-in --token-stdin"; }
check "the page shows a token" test "${token:0:1}" = .
check "it signs Alice in" eval 'pasted "$token" && within 15 is_state client up'
check "Alice reaches the office" within 15 reaches client
check "she signs out" eval '$FZ sign-out --yes && within 10 not is_state client up'
check "and reaches it no more" within 5 reaches_not client
check "a made-up token is refused, in words" eval 'pasted .nonsense; within 10 eval "[[ \$($FZ status --json) == *token*was*refused* ]]"'
$FZ sign-out --yes >/dev/null 2>&1

browser() { # ACTOR: the link is in /run/link
	on client rm -f /run/link
	on client bash -c "echo $1 >/run/who; PATH=/run/desktop:\$PATH DISPLAY=:0 exec timeout 30 '$BIN/firezonectl' sign-in --account lab" &
	WAITS=$! # for the answer
	within 10 on client test -s /run/link
}
hand_over() { on client bash -c "'$BIN/firezonectl' finish-sign-in <\"\$1\"" _ "$1"; }
check "a browser is sent there and comes back with a link" browser bob
on client bash -c 'sed "s/state=[0-9a-f]*/state=$(printf "0%.0s" {1..64})/" /run/link >/run/forged; cat /run/link >/run/kept'
check "a link with another state is refused" not hand_over /run/forged
check "and ends that request: the right one is too late" not hand_over /run/kept
check "another try" browser bob
check "the link signs Bob in" eval 'hand_over /run/link && within 15 is_state client up'
check "Bob has the resources of his policy" eval '[[ $($FZ resource list --json | grep -c "\"type\"") -eq 1 ]]'
check "and ends the waiting of who asked" wait "$WAITS"
check "the same link does not work twice" not hand_over /run/link
ctl expire client >/dev/null
check "when the session expires, Bob is told" within 15 eval '[[ $($FZ status --json) == *session*ended* ]]'
expect_log '^(err|warning): session-ended ' '^warning: (ipc-refused|sign-in-failed) '
finish
