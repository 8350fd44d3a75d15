"""The portal's fault switches: a Unix socket, one JSON list of words a line, one JSON object with `ok` back."""
import asyncio
import json

import portal_model as model

HELP = """\
WHO is a role (client, gateway, relay), a device's name, @NAME (one that is a role's word, too) or * for all; EVENT an
event or *; times=N ends a switch after N uses (default: until `clear`).

status                                   who is connected, grants, switches, counters
summary                                  the same in a few lines, for people
clear                                    all switches off
refuse WHO STATUS [CODE] [times=N] [retry-after=TEXT] [body=html]
                                         the next upgrades are answered with this status
hang WHO [times=N]                       upgrades get no answer
delay-upgrade WHO SECONDS [times=N]
garbage WHO HEX [times=N]                these bytes instead of an HTTP answer
refuse-join WHO REASON [times=N]
drop WHO in|out EVENT [times=N]          messages vanish
delay WHO in|out EVENT SECONDS [times=N]
push WHO EVENT JSON                      a message as given
text|binary|bytes|ping WHO WORD          a text frame; a binary frame, raw bytes of the connection, a ping (hex)
close WHO [CODE]                         a Close frame; abort: the connection breaks off
abort WHO
disconnect WHO [REASON]                  as for an expired token, by default
expire WHO                               the tokens of these devices expire now
token-seconds N | grant-seconds N|off    life of the next sign-ins and grants
outage SECONDS                           nothing listens, all connections break off
account SLUG disabled|over-limit on|off
deny RESOURCE|* REASON [times=N]         authorizations fail (REASON silence: no answer)
allow                                    they no longer do
resource SLUG KEY JSON                   makes or changes one; told to whom it concerns. JSON null deletes it
reject WHO RESOURCE                      the client's grants for the resource end at its gateways
interface SLUG JSON                      the account's DNS settings: config_changed
readdress WHO IPV4 IPV6                  the device's tunnel addresses: a new init
init WHO                                 the same init again
relay KEY up|down                        relays_presence
flood N                                  so many more resources in every client's init
upserts WHO N                            so many more, one message each
iceless on|off | rate-limit on|off
"""


def is_meant(who, role, name):
    return who in ("*", role, name, f"@{name}")


class Faults:
    def __init__(self):
        self.rules = []

    def add(self, kind, who, **fields):
        self.rules.append({"kind": kind, "who": who} | {k: v for k, v in fields.items() if v is not None})

    def take(self, kind, conn=None, role=None, name=None, **match):
        """The first switch of this kind that applies, used up by one."""
        if conn is not None:
            role, name = conn.role, conn.name
        for rule in self.rules:
            if rule["kind"] != kind or not is_meant(rule["who"], role, name):
                continue
            if any(rule.get(k) not in ("*", v) for k, v in match.items()):
                continue
            if "times" in rule:
                rule["times"] -= 1
                if rule["times"] <= 0:
                    self.rules.remove(rule)
            return rule
        return None


class Control:
    def __init__(self, portal, listeners):
        self.portal, self.listeners = portal, listeners
        self.tasks = set()

    async def start(self, path):
        return await asyncio.start_unix_server(self.serve, path, limit=1 << 26)

    async def serve(self, reader, writer):
        while line := await reader.readline():
            try:
                answer = await self.run(json.loads(line))
            except (ValueError, KeyError, IndexError, TypeError, model.ConfigError) as e:
                answer = {"ok": False, "text": f"wrong: {e!r}; `help` lists the commands"}
            try:
                writer.write((json.dumps(answer) + "\n").encode())
                await writer.drain()
            except ConnectionError:
                break
        writer.close()

    async def run(self, words):
        if not words or words[0] == "help":
            return {"ok": True, "text": HELP}
        self.portal.transcript.add(note=" ".join(words)[:300])
        named = dict(w.split("=", 1) for w in words[1:] if w.split("=", 1)[0] in ("times", "retry-after", "body") and "=" in w)
        plain = [w for w in words[1:] if not ("=" in w and w.split("=", 1)[0] in named)]
        times = int(named["times"]) if "times" in named else None
        handler = getattr(self, "do_" + words[0].replace("-", "_"), None)
        if handler is None:
            return {"ok": False, "text": f"no such command: {words[0]}; `help` lists them"}
        answer = handler(plain, times, named)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return answer if isinstance(answer, dict) else {"ok": True, "text": answer or "ok"}

    def conns(self, who):
        return [c for c in self.portal.conns.values() if is_meant(who, c.role, c.name)]

    def do_status(self, plain, times, named):
        p = self.portal
        return {"ok": True, "connections": [
            {"role": c.role, "name": c.name, "conn": c.number, "joined": c.is_joined, "id": c.device.id if c.device else None,
             "ipv4": c.device.ipv4 if c.device else None, "ipv6": c.device.ipv6 if c.device else None,
             "public_key": c.device.public_key if c.device else None} for c in p.conns.values()],
            "grants": [vars(g) for g in p.model.live_grants()], "switches": p.faults.rules + p.deny,
            "relays": {r.key: r.is_up for r in p.model.relays.values()}, "pending": len(p.pending), "counts": p.counts,
            "resources": {a.slug: {r.key: r.id for r in a.resources.values()} for a in p.model.accounts.values()}}

    def do_summary(self, plain, times, named):
        p = self.portal
        lines = [f"  {c.role:<8} {c.name:<14} {c.device.ipv4 if c.device else '':<14} {c.device.ipv6 if c.device else '':<22} "
                 + ("joined" if c.is_joined else "not joined yet") for c in p.conns.values()] or ["  nobody is connected"]
        names = {d.id: d.name for d in p.model.devices.values()}
        keys = {r.id: r.key for a in p.model.accounts.values() for r in a.resources.values()}
        for g in p.model.live_grants():
            lines.append(f"  grant    {names.get(g.client_id)} -> {keys.get(g.resource_id)} at {names.get(g.gateway_id)}")
        lines += [f"  switch   {json.dumps(rule)}" for rule in p.faults.rules + p.deny]
        return "\n".join(line.rstrip() for line in lines)

    def do_clear(self, plain, times, named):
        self.portal.faults.rules.clear()
        self.portal.deny.clear()
        self.portal.grant_seconds = self.portal.buckets = None
        self.portal.flood = 0

    # ---- switches ------------------------------------------------------------------------------------------------------

    def do_refuse(self, plain, times, named):
        self.portal.faults.add("refuse", plain[0], status=int(plain[1]), code=plain[2] if len(plain) > 2 else None,
                               times=times, retry_after=named.get("retry-after"), body=named.get("body"))

    def do_hang(self, plain, times, named):
        self.portal.faults.add("hang", plain[0], times=times)

    def do_delay_upgrade(self, plain, times, named):
        self.portal.faults.add("delay-upgrade", plain[0], seconds=float(plain[1]), times=times)

    def do_garbage(self, plain, times, named):
        bytes.fromhex(plain[1])
        self.portal.faults.add("garbage", plain[0], hex=plain[1], times=times)

    def do_refuse_join(self, plain, times, named):
        self.portal.faults.add("refuse-join", plain[0], reason=plain[1], times=times)

    def do_drop(self, plain, times, named):
        self.portal.faults.add("drop", plain[0], way=self.way(plain[1]), event=plain[2], times=times)

    def do_delay(self, plain, times, named):
        self.portal.faults.add("delay", plain[0], way=self.way(plain[1]), event=plain[2], seconds=float(plain[3]),
                               times=times)

    @staticmethod
    def way(word):
        if word not in ("in", "out"):
            raise ValueError(f"in or out, not {word!r}")
        return word

    def do_deny(self, plain, times, named):
        self.portal.deny.append({"resource": plain[0], "reason": plain[1]} | ({"times": times} if times else {}))

    def do_allow(self, plain, times, named):
        self.portal.deny.clear()

    def do_grant_seconds(self, plain, times, named):
        self.portal.grant_seconds = None if plain[0] == "off" else float(plain[0])

    def do_token_seconds(self, plain, times, named):
        self.portal.sign_in_seconds = float(plain[0])

    def do_flood(self, plain, times, named):
        self.portal.flood = int(plain[0])

    def do_upserts(self, plain, times, named):
        found = self.conns(plain[0])
        for c in found:
            for i in range(int(plain[1])):
                c.push("resource_created_or_updated", {
                    "id": f"f100d000-0000-4000-8000-{i:012d}", "type": "cidr", "name": f"flood-{i}", "sites": [], "filters": [],
                    "address": f"10.{128 + (i >> 16)}.{i >> 8 & 255}.{i & 255}/32", "address_description": None})
        return {"ok": bool(found), "text": f"{len(found)} connections"}

    def do_iceless(self, plain, times, named):
        self.portal.wants_iceless = plain[0] == "on"

    def do_rate_limit(self, plain, times, named):
        self.portal.buckets = {} if plain[0] == "on" else None

    def do_account(self, plain, times, named):
        account = self.portal.model.accounts[plain[0]]
        setattr(account, {"disabled": "is_disabled", "over-limit": "is_over_limit"}[plain[1]], plain[2] == "on")

    # ---- what is sent as it is -----------------------------------------------------------------------------------------

    def queue(self, who, kind, what):
        found = self.conns(who)
        for c in found:
            c.queue.put_nowait((kind, what))
        return {"ok": bool(found), "text": f"{len(found)} connections"}

    def do_push(self, plain, times, named):
        payload = json.loads(plain[2])
        found = self.conns(plain[0])
        for c in found:
            c.push(plain[1], payload)
        return {"ok": bool(found), "text": f"{len(found)} connections"}

    def do_text(self, plain, times, named):
        return self.queue(plain[0], "text", plain[1])

    def do_binary(self, plain, times, named):
        return self.queue(plain[0], "binary", bytes.fromhex(plain[1]))

    def do_bytes(self, plain, times, named):
        return self.queue(plain[0], "bytes", bytes.fromhex(plain[1]))

    def do_ping(self, plain, times, named):
        return self.queue(plain[0], "ping", bytes.fromhex(plain[1]))

    def do_close(self, plain, times, named):
        return self.queue(plain[0], "close", int(plain[1]) if len(plain) > 1 else 1000)

    def do_abort(self, plain, times, named):
        found = self.conns(plain[0])
        for c in found:
            c.abort()
        return {"ok": bool(found), "text": f"{len(found)} connections"}

    def do_disconnect(self, plain, times, named):
        found = self.conns(plain[0])
        for c in found:
            c.push("disconnect", {"reason": plain[1] if len(plain) > 1 else "token_expired"})
            c.queue.put_nowait(("close", 1000))
        return {"ok": bool(found), "text": f"{len(found)} connections"}

    def do_expire(self, plain, times, named):
        found = self.conns(plain[0])
        for c in found:
            c.token.expires_at = 1.0
        return {"ok": bool(found), "text": f"{len(found)} connections"}

    async def do_outage(self, plain, times, named):
        await self.listeners.down()

        async def back():
            await asyncio.sleep(float(plain[0]))
            await self.listeners.up()
        task = asyncio.create_task(back())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # ---- what an administrator does ------------------------------------------------------------------------------------

    def clients_of(self, account):
        return [c for c in self.portal.of_role("client") if c.token.account is account and c.is_joined]

    def do_resource(self, plain, times, named):
        account, key, given = self.portal.model.accounts[plain[0]], plain[1], json.loads(plain[2])
        before = account.resources.pop(key, None)
        if given is None:
            for c in self.clients_of(account):
                c.push("resource_deleted", before.id)
            self.reject_all(before)
            return None
        after = model.make_resource(account.slug, key, given, account.sites)
        account.resources[key] = after
        if before and (before.address, before.type, before.ip_stack, before.site.id) != (
                after.address, after.type, after.ip_stack, after.site.id):
            self.reject_all(before)
        elif before:
            for c in self.portal.of_role("gateway"):
                if self.portal.model.live_grants(gateway_id=c.device.id, resource_id=after.id):
                    c.push("resource_updated", after.for_gateway())
        for c in self.clients_of(account):
            if account.policy(c.token.actor, after):
                if before and before.site is not after.site:
                    c.push("resource_deleted", before.id)
                c.push("resource_created_or_updated", after.for_client(c.old_words))
        return None

    def reject_all(self, resource, client_ids=None):
        n = 0
        for g in self.portal.model.live_grants(resource_id=resource.id):
            if client_ids is not None and g.client_id not in client_ids:
                continue
            n += 1
            del self.portal.model.grants[g.id]
            gateway = self.portal.device_conn("gateway", g.gateway_id)
            if gateway:
                gateway.push("reject_access", {"client_id": g.client_id, "resource_id": g.resource_id})
        self.portal.model.save()
        return n

    def do_reject(self, plain, times, named):
        found = [r for a in self.portal.model.accounts.values() for r in a.resources.values() if r.key == plain[1]]
        ids = {d.id for d in self.portal.model.devices.values() if is_meant(plain[0], d.role, d.name)}
        return f"{sum(self.reject_all(r, ids) for r in found)} grants"

    def do_interface(self, plain, times, named):
        account = self.portal.model.accounts[plain[0]]
        account.interface = json.loads(plain[1])
        for c in self.clients_of(account):
            c.push("config_changed", {"interface": account.interface_for(c.device)})

    def do_readdress(self, plain, times, named):
        for c in self.conns(plain[0]):
            c.device.ipv4, c.device.ipv6 = plain[1], plain[2]
            self.portal.push_init(c)

    def do_init(self, plain, times, named):
        for c in self.conns(plain[0]):
            self.portal.push_init(c)

    def do_relay(self, plain, times, named):
        relay = self.portal.model.relays[plain[0]]
        relay.is_up = plain[1] == "up"
        self.portal.relays_changed([] if relay.is_up else [relay.id])
