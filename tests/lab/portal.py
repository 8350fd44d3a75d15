#!/usr/bin/python3
"""A portal for the lab: speaks the v2 protocol (and the v1 words) to clients, gateways and relays, from one YAML file.

  portal.py serve --config lab.yaml --control SOCKET --listen HOST:PORT|unix:PATH ... [--cert PEM --key PEM]
                  [--state FILE] [--transcript FILE]
  portal.py ctl SOCKET COMMAND [WORD...]      one command over the control socket; `help` lists them

The transcript has one JSON object a line: t, role, conn, dir and one of http, msg, raw, closed; or a note. t counts from
"monotonic" of the first line.
docs/protocol/portal.md describes what is spoken; portal_model.py has the values, portal_control.py the fault switches.
"""
import argparse
import asyncio
import base64
import binascii
import html
import itertools
import json
import os
import secrets
import signal
import socket
import ssl
import sys
import time
import urllib.parse

import yaml
from aiohttp import WSCloseCode, WSMsgType, web

import portal_control
import portal_model as model

CALLBACK = "firezone-fd0020211111://handle_client_sign_in_callback"
IDLE_SECONDS = {"client": 37, "gateway": 37, "relay": 41}
AUTHORIZATION_SECONDS = 15
MESSAGE_MAX = 1 << 20
FLOW_LOGS = {"api_url": "http://127.0.0.1:9/", "upload_interval_secs": 0, "upload_batch_size": 1000}

# What v1 endpoints call things: theirs -> ours, and back on the way out.
OLD_WORDS = {
    "client": {"create_flow": "request_authorization", "flow_created": "authorization_created",
               "flow_creation_failed": "authorization_creation_failed"},
    "gateway": {"authorize_flow": "create_authorization", "flow_authorized": "authorization_created"},
    "relay": {},
}


def problem(status, code, detail="", headers=None):
    titles = {400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 409: "Conflict",
              429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}
    body = {"type": "about:blank", "title": titles.get(status, "Error"), "status": status, "detail": detail or code,
            "code": code}
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers,
                        content_type="application/problem+json", charset="utf-8")


class Transcript:
    def __init__(self, path):
        self.start = time.monotonic()
        self.file = open(path, "a", buffering=1) if path else None
        self.add(note="start", monotonic=self.start)

    def add(self, **what):
        if self.file:
            self.file.write(json.dumps({"t": round(time.monotonic() - self.start, 4)} | what) + "\n")


class Conn:
    """One device's socket: what is sent goes through a queue, so that a delayed message delays what follows it."""

    def __init__(self, portal, role, number, ws, transport, old_words):
        self.portal, self.role, self.number, self.ws, self.transport = portal, role, number, ws, transport
        self.old_words = old_words
        self.device = self.token = self.relay = None
        self.version = None
        self.is_joined = self.is_iceless = self.is_closing = False
        self.heard_at = time.monotonic()
        self.queue = asyncio.Queue()

    @property
    def name(self):
        return self.device.name if self.device else self.relay.key if self.relay else f"{self.role}{self.number}"

    def push(self, event, payload):
        self.send(self.role, event, payload, None)

    def reply(self, frame, status="ok", response=None):
        self.send(frame.get("topic"), "phx_reply", {"status": status, "response": response or {}}, frame.get("ref"))

    def send(self, topic, event, payload, ref):
        if self.old_words:
            event = next((old for old, new in OLD_WORDS[self.role].items() if new == event), event)
        rule = self.portal.faults.take("drop", self, event=event, way="out")
        if rule:
            return
        self.queue.put_nowait(("msg", {"topic": topic, "event": event, "payload": payload, "ref": ref}))

    async def writer(self):
        while True:
            kind, what = await self.queue.get()
            if kind == "msg":
                rule = self.portal.faults.take("delay", self, event=what["event"], way="out")
                if rule:
                    await asyncio.sleep(rule["seconds"])
                self.portal.transcript.add(role=self.role, conn=self.number, dir=f"portal>{self.role}", msg=what)
                await self.ws.send_str(json.dumps(what, separators=(",", ":")))
            else:
                self.portal.transcript.add(role=self.role, conn=self.number, dir=f"portal>{self.role}",
                                           raw=what.hex() if isinstance(what, bytes) else f"{kind} {what}")
                if kind == "text":
                    await self.ws.send_str(what)
                elif kind == "binary":
                    await self.ws.send_bytes(what)
                elif kind == "bytes":
                    self.transport.write(what)
                elif kind == "ping":
                    await self.ws.ping(what)
                elif kind == "close":
                    self.is_closing = True
                    await self.ws.close(code=int(what))
                    return

    def abort(self):
        self.transport.abort()


class Portal:
    def __init__(self, config, state=None, transcript=None):
        self.config, self.state = config, state
        self.model = model.Model(config, state)
        self.faults = portal_control.Faults()
        self.transcript = Transcript(transcript)
        self.conns, self.pending = {}, {}
        self.numbers = itertools.count(1)
        self.counts = {"upgrades": 0, "refused": 0}
        self.buckets = None  # rate limit: (address, token) -> time of the last connect
        self.grant_seconds = None
        self.wants_iceless = False
        self.flood, self.flooded = 0, []  # how many resources more in every client's init, and what they are
        self.deny = []
        self.sites = []  # listeners, set by serve
        self.app = web.Application()
        for path, role, old in (("/client/v2/websocket", "client", False), ("/gateway/v2/websocket", "gateway", False),
                                ("/client/websocket", "client", True), ("/gateway/websocket", "gateway", True),
                                ("/relay/websocket", "relay", False)):
            self.app.router.add_get(path, self.upgrader(role, old))
        self.app.router.add_get("/{slug:[a-z0-9_-]*}", self.sign_in_page)
        self.app.router.add_post("/{slug:[a-z0-9_-]*}/sign_in", self.sign_in)

    # ---- the door ------------------------------------------------------------------------------------------------------

    def upgrader(self, role, old):
        async def handler(request):
            return await self.upgrade(request, role, old)
        return handler

    async def upgrade(self, request, role, old):
        number = next(self.numbers)
        self.counts["upgrades"] += 1
        self.transcript.add(role=role, conn=number, dir=f"{role}>portal", http={
            "path": request.raw_path, "headers": [[k.decode(), v.decode()] for k, v in request.raw_headers]})
        answer = await self.faulty_answer(request, role)
        token = device = relay = None
        if answer is None:
            answer, token = self.check_token(request, role)
        if answer is None and role != "relay":
            answer, device = self.check_device(request, role, token)
        if answer is None and role == "relay":
            answer = self.check_relay(request)
        if answer is not None:
            self.counts["refused"] += 1
            self.transcript.add(role=role, conn=number, dir=f"portal>{role}",
                                http={"status": answer.status, "headers": [[k, v] for k, v in answer.headers.items()],
                                      "body": (answer.body or b"").decode(errors="replace")})
            return answer
        ws = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_MAX, timeout=2, heartbeat=None)
        await ws.prepare(request)
        conn = Conn(self, role, number, ws, request.transport, old)
        conn.device, conn.token, conn.relay = device, token, relay
        conn.query = request.query
        _, conn.version = model.parse_user_agent(request.headers.get("User-Agent"))
        await self.serve(conn)
        return ws

    async def faulty_answer(self, request, role):
        who = request.query.get("name", "")
        rule = self.faults.take("delay-upgrade", role=role, name=who)
        if rule:
            await asyncio.sleep(rule["seconds"])
        if self.faults.take("hang", role=role, name=who):
            await asyncio.sleep(120)
        rule = self.faults.take("garbage", role=role, name=who)
        if rule:
            request.transport.write(bytes.fromhex(rule["hex"]))
            request.transport.close()
            return web.Response(status=500)
        rule = self.faults.take("refuse", role=role, name=who)
        if rule is None:
            return None
        headers = {"Retry-After": rule["retry_after"]} if "retry_after" in rule else {}
        if 300 <= rule["status"] < 400:
            headers["Location"] = "https://elsewhere.lab.test/"
        if rule.get("body") == "html":
            return web.Response(status=rule["status"], text="<h1>a proxy speaks</h1>", content_type="text/html",
                                headers=headers)
        return problem(rule["status"], rule.get("code", "refused_by_test"), headers=headers)

    def check_token(self, request, role):
        given = request.headers.get("X-Authorization", "")
        text = given[7:] if given.startswith("Bearer ") else request.query.get("token")
        if not text:
            return problem(401, "missing_token"), None
        if self.buckets is not None:
            key, now = (request.remote, text), time.monotonic()
            if now - self.buckets.get(key, -1e9) < 1:
                return problem(503, "rate_limit", headers={"Retry-After": "1"}), None
            self.buckets[key] = now
        token = self.model.token(text)
        if token is None or token.kind != role or not token.is_live():
            return problem(401, "invalid_token"), None
        if token.account.is_disabled:
            return problem(403, "account_disabled"), None
        if token.account.is_over_limit:
            return problem(402, "limits_exceeded"), None
        return None, token

    def check_device(self, request, role, token):
        q = request.query
        try:
            key_ok = len(q.get("public_key", "")) == 44 and len(base64.b64decode(q["public_key"], validate=True)) == 32
        except binascii.Error:
            key_ok = False
        if not key_ok or not q.get("external_id") or not q.get("name"):
            return problem(400, "invalid_connect_params", "public_key, external_id or name is invalid"), None
        component, _ = model.parse_user_agent(request.headers.get("User-Agent"))
        if role == "client" and component is None:
            return problem(400, "invalid_connect_params", "user_agent is invalid"), None
        owner = token.actor if role == "client" else token.site
        ident = model.name_id(role, owner.id, q["external_id"])
        if role == "gateway" and any(c.device.id == ident for c in self.of_role("gateway")):
            return problem(409, "gateway_already_connected"), None
        return None, self.model.device(role, owner, q["external_id"], q["name"], q["public_key"])

    def check_relay(self, request):
        if not request.query.get("ipv4") and not request.query.get("ipv6"):
            return problem(500, "unhandled_connect_error", "missing_ip")
        return None

    # ---- a socket's life -----------------------------------------------------------------------------------------------

    async def serve(self, conn):
        if conn.device:
            for other in [c for c in self.conns.values() if c.device and c.device.id == conn.device.id]:
                other.queue.put_nowait(("close", 1000))
        self.conns[conn.number] = conn
        writer = asyncio.create_task(conn.writer())
        watch = asyncio.create_task(self.watch(conn))
        try:
            async for msg in conn.ws:
                conn.heard_at = time.monotonic()
                if msg.type == WSMsgType.TEXT:
                    self.received(conn, msg.data)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            watch.cancel()
            self.conns.pop(conn.number, None)
            if conn.is_closing:  # the reader ends first: the frame that says so is still to be written
                await asyncio.wait([writer], timeout=3)
            writer.cancel()
            self.transcript.add(role=conn.role, conn=conn.number, dir=f"{conn.role}>portal",
                                closed=conn.ws.close_code or 1006)
            if conn.relay:
                self.relay_gone(conn.relay)

    async def watch(self, conn):
        """Ends a silent socket, and one whose token has expired."""
        while True:
            await asyncio.sleep(0.25)
            if time.monotonic() - conn.heard_at > IDLE_SECONDS[conn.role]:
                conn.abort()
                return
            if not conn.token.is_live():
                conn.push("disconnect", {"reason": "token_expired"})
                conn.queue.put_nowait(("close", 1000))
                return

    def received(self, conn, text):
        try:
            frame = json.loads(text)
            topic, event, ref = frame["topic"], frame["event"], frame.get("ref")
        except (ValueError, KeyError, TypeError):
            self.transcript.add(role=conn.role, conn=conn.number, dir=f"{conn.role}>portal", raw=text)
            conn.queue.put_nowait(("close", WSCloseCode.UNSUPPORTED_DATA))
            return
        self.transcript.add(role=conn.role, conn=conn.number, dir=f"{conn.role}>portal", msg=frame)
        if self.faults.take("drop", conn, event=event, way="in"):
            return
        rule = self.faults.take("delay", conn, event=event, way="in")
        if rule:
            asyncio.get_running_loop().call_later(rule["seconds"], self.handle, conn, frame)
        else:
            self.handle(conn, frame)

    def handle(self, conn, frame):
        topic, event, payload = frame["topic"], frame["event"], frame.get("payload")
        if conn.ws.closed:
            return
        if topic == "phoenix":
            if event == "heartbeat":
                conn.reply(frame)
            return
        if topic != conn.role or (not conn.is_joined and event != "phx_join"):
            conn.reply(frame, "error", {"reason": "unmatched topic"})
            return
        if event == "phx_join":
            self.join(conn, frame)
            return
        if conn.old_words:
            event = OLD_WORDS[conn.role].get(event, None if event in OLD_WORDS[conn.role].values() else event)
        handler = getattr(self, f"{conn.role}_{event}", None) if event and event.isidentifier() else None
        if handler is None:
            conn.reply(frame, "error", {"reason": "unknown_message"})
            return
        try:
            handler(conn, payload, frame)
        except (KeyError, TypeError, AttributeError, ValueError):
            conn.reply(frame, "error", {"reason": "invalid_payload"})

    def join(self, conn, frame):
        rule = self.faults.take("refuse-join", conn)
        if rule:
            conn.reply(frame, "error", {"reason": rule["reason"]})
            return
        conn.is_joined = True
        conn.reply(frame)
        if conn.role == "relay":
            self.relay_joined(conn, frame.get("payload") or {})
        else:
            self.push_init(conn)

    def push_init(self, conn):
        conn.push("init", self.client_init(conn) if conn.role == "client" else self.gateway_init(conn))

    def relays_for(self, conn):
        expiry = model.GATEWAY_RELAY_EXPIRY
        if conn.role == "client":
            expiry = conn.token.expires_at or expiry
        return [e for r in [r for r in self.model.relays.values() if r.is_up][:2]
                for e in r.entries(conn.device, expiry)]

    def client_init(self, conn):
        account = conn.token.account
        resources = [r.for_client(conn.old_words) for r in account.visible(conn.token.actor)]
        site = {"id": model.name_id("flood"), "name": "flood"}
        if self.flood != len(self.flooded):
            self.flooded = [{"id": f"f1000000-0000-4000-8000-{i:012x}", "type": "cidr", "name": f"flood {i}",
                             "address": f"172.{16 + (i >> 16) % 16}.{(i >> 8) % 256}.{i % 256}/32",
                             "address_description": None, "sites": [site], "filters": []} for i in range(self.flood)]
        resources += self.flooded
        return {"interface": account.interface_for(conn.device), "resources": resources, "relays": self.relays_for(conn),
                "authorizations": [], "flow_logs": FLOW_LOGS}

    def gateway_init(self, conn):
        return {"interface": {"ipv4": conn.device.ipv4, "ipv6": conn.device.ipv6},
                "config": {"ipv4_masquerade_enabled": True, "ipv6_masquerade_enabled": True},
                "relays": self.relays_for(conn), "account_slug": conn.token.account.slug,
                "authorizations": [{"client_id": g.client_id, "resource_id": g.resource_id, "expires_at": g.expires_at}
                                   for g in self.model.live_grants(gateway_id=conn.device.id)],
                "flow_logs": FLOW_LOGS}

    # ---- who is there --------------------------------------------------------------------------------------------------

    def of_role(self, role):
        return [c for c in self.conns.values() if c.role == role and c.device]

    def device_conn(self, role, device_id):
        """The newest joined socket of a device, or None."""
        found = [c for c in self.of_role(role) if c.device.id == device_id and c.is_joined]
        return found[-1] if found else None

    def resource(self, account, resource_id):
        return next((r for r in account.resources.values() if r.id == resource_id), None)

    # ---- what clients say ----------------------------------------------------------------------------------------------

    def client_set_snownet_capabilities(self, conn, payload, frame):
        conn.is_iceless = bool(payload.get("iceless"))

    gateway_set_snownet_capabilities = client_set_snownet_capabilities

    def client_request_authorization(self, conn, payload, frame):
        resource_id = str(payload["resource_id"])
        resource = self.resource(conn.token.account, resource_id)
        denied = next((d for d in self.deny if resource and d["resource"] in ("*", resource.key)), None)

        def fail(reason, **more):
            conn.push("authorization_creation_failed", {"resource_id": resource_id, "reason": reason} | more)
        if denied:
            if denied.get("times") is not None:
                denied["times"] -= 1
                if denied["times"] <= 0:
                    self.deny.remove(denied)
            if denied["reason"] != "silence":
                more = {"violated_properties": ["current_utc_datetime"]} if denied["reason"] == "forbidden" else {}
                fail(denied["reason"], **more)
            return
        policy = resource and conn.token.account.policy(conn.token.actor, resource)
        if not policy:
            fail("not_found")
            return
        online = [c for c in self.of_role("gateway") if c.is_joined and c.token.site is resource.site]
        fitting = [c for c in online if model.is_compatible(conn.version, c.version)]
        if not fitting:
            fail("version_mismatch" if online else "offline")
            return
        wanted = payload.get("connected_gateway_ids") or []
        gateway = next((c for c in fitting if c.device.id in wanted), None) or secrets.choice(fitting)
        self.authorize(conn, gateway, resource, policy)

    def authorize(self, conn, gateway, resource, policy):
        seconds = self.grant_seconds or policy.get("seconds", 1209600)
        grant = self.model.grant(conn.device, gateway.device, resource, int(time.time() + seconds))
        client_ice, gateway_ice = model.ice_credentials(conn.device, gateway.device)
        psk = model.preshared_key(conn.device, gateway.device)
        actor, ref = conn.token.actor, secrets.token_urlsafe(40)
        iceless = self.wants_iceless and conn.is_iceless and gateway.is_iceless

        def jwt(role):
            return model.ingest_token(conn.token.account, role, conn.device, gateway.device, resource, actor, grant)
        created = {
            "resource_id": resource.id, "gateway_id": gateway.device.id,
            "gateway_group_id" if conn.old_words else "site_id": resource.site.id,
            "gateway_public_key": gateway.device.public_key, "gateway_ipv4": gateway.device.ipv4,
            "gateway_ipv6": gateway.device.ipv6, "preshared_key": psk, "client_ice_credentials": client_ice,
            "gateway_ice_credentials": gateway_ice, "use_iceless": iceless, "flow_logs_ingest_token": jwt("initiator")}
        for old in [r for r, p in self.pending.items() if p["conn"] is conn and p["resource"] is resource]:
            self.pending.pop(old)["timer"].cancel()
        timer = asyncio.get_running_loop().call_later(AUTHORIZATION_SECONDS, self.authorization_timeout, ref)
        self.pending[ref] = {"conn": conn, "gateway": gateway, "resource": resource, "created": created, "timer": timer}
        version = ".".join(map(str, conn.version)) if conn.version else None
        gateway.push("create_authorization", {
            "ref": ref, "resource": resource.for_gateway(), "gateway_ice_credentials": gateway_ice,
            "client_ice_credentials": client_ice,
            "client": {"id": conn.device.id, "public_key": conn.device.public_key, "preshared_key": psk,
                       "ipv4": conn.device.ipv4, "ipv6": conn.device.ipv6, "version": version,
                       "device_serial": conn.query.get("device_serial"), "device_os_name": "Linux",
                       "device_os_version": None, "device_uuid": conn.query.get("device_uuid"),
                       "firebase_installation_id": None, "identifier_for_vendor": None},
            "expires_at": grant.expires_at, "use_iceless": iceless, "flow_logs_ingest_token": jwt("responder"),
            "subject": {"auth_provider_id": None, "actor_id": actor.id, "actor_name": actor.name,
                        "actor_email": actor.email}})

    def authorization_timeout(self, ref):
        p = self.pending.pop(ref)
        p["conn"].push("authorization_creation_failed", {"resource_id": p["resource"].id, "reason": "offline"})

    def gateway_authorization_created(self, conn, payload, frame):
        p = self.pending.get(payload["ref"])
        if p is None or p["gateway"] is not conn:
            conn.reply(frame, "error", {"reason": "invalid_ref"})
            return
        del self.pending[payload["ref"]]
        p["timer"].cancel()
        conn.reply(frame)
        p["conn"].push("authorization_created", p["created"])

    # Candidates: of one client for one gateway, of one gateway for some clients.
    def to_gateway(self, conn, payload, event):
        other = self.device_conn("gateway", payload["gateway_id"])
        if other:
            other.push(event, {"client_id": conn.device.id, "candidates": list(payload["candidates"])})

    def to_clients(self, conn, payload, event):
        for client_id in payload["client_ids"]:
            other = self.device_conn("client", client_id)
            if other:
                other.push(event, {"gateway_id": conn.device.id, "candidates": list(payload["candidates"])})

    def client_new_gateway_ice_candidates(self, conn, payload, frame):
        self.to_gateway(conn, payload, "ice_candidates")

    def client_invalidate_gateway_ice_candidates(self, conn, payload, frame):
        self.to_gateway(conn, payload, "invalidate_ice_candidates")

    def gateway_broadcast_ice_candidates(self, conn, payload, frame):
        self.to_clients(conn, payload, "ice_candidates")

    def gateway_broadcast_invalidated_ice_candidates(self, conn, payload, frame):
        self.to_clients(conn, payload, "invalidate_ice_candidates")

    def client_no_relays(self, conn, payload, frame):
        conn.push("relays_presence", {"disconnected_ids": [], "connected": self.relays_for(conn)})

    gateway_no_relays = client_no_relays

    # ---- relays --------------------------------------------------------------------------------------------------------

    def relay_joined(self, conn, payload):
        q, secret = conn.query, payload["stamp_secret"]
        port = int(q.get("port", 3478))
        addresses = [model.join_port(q[f], port) for f in ("ipv4", "ipv6") if q.get(f)]
        ident = model.relay_id(secret)
        conn.relay = self.model.relays[ident] = model.Relay(q.get("name") or ident, ident, addresses, secret, "firezone")
        conn.push("init", {})
        self.relays_changed([])

    def relay_gone(self, relay):
        self.model.relays.pop(relay.id, None)
        self.relays_changed([relay.id])

    def relays_changed(self, gone):
        for c in self.of_role("client") + self.of_role("gateway"):
            if c.is_joined:
                c.push("relays_presence", {"disconnected_ids": gone, "connected": self.relays_for(c)})

    # ---- signing in in a browser ---------------------------------------------------------------------------------------

    async def sign_in_page(self, request):
        account = self.account_of(request)
        if account is None:
            return web.Response(status=404, text="no such account\n")
        hidden = "".join(f'<input type="hidden" name="{k}" value="{html.escape(request.query.get(k, ""))}">'
                         for k in ("as", "nonce", "state"))
        rows = "".join(f'<p><button name="actor" value="{html.escape(a.key)}">Sign in as {html.escape(a.name)}</button></p>'
                       for a in account.actors.values())
        return web.Response(content_type="text/html", text=(
            f"<!doctype html><meta charset=utf-8><title>{html.escape(account.name)}</title>"
            f"<h1>{html.escape(account.name)}</h1><form method=post action=\"/{account.slug}/sign_in\">{hidden}{rows}</form>"))

    def account_of(self, request):
        slug = request.match_info["slug"]
        accounts = self.model.accounts
        return accounts.get(slug) if slug else next(iter(accounts.values()), None)

    async def sign_in(self, request):
        account, form = self.account_of(request), await request.post()
        actor = account and account.actors.get(form.get("actor", ""))
        way, nonce, state = form.get("as", ""), form.get("nonce", ""), form.get("state", "")
        if actor is None or way not in ("gui-client", "client", "headless-client"):
            return web.Response(status=400, text="no such account, actor or client\n")
        if way == "headless-client":
            token = self.model.sign_in(actor, "", self.token_seconds())
            return web.Response(content_type="text/html", text=(
                f"<!doctype html><meta charset=utf-8><title>Token</title><p>Paste this into the terminal:</p>"
                f"<pre id=token>{token}</pre>"))
        if not nonce or "." in nonce or len(nonce) > 128 or not state:
            return web.Response(status=400, text="nonce or state is missing\n")
        query = urllib.parse.urlencode({
            "account_name": account.name, "account_slug": account.slug, "actor_name": actor.name,
            "fragment": self.model.sign_in(actor, nonce, self.token_seconds()),
            "identity_provider_identifier": actor.id, "state": state})
        # Written by hand: the header must carry the link byte for byte.
        return web.Response(status=302, headers={"Location": f"{CALLBACK}?{query}"})

    def token_seconds(self):
        return getattr(self, "sign_in_seconds", 7 * 86400)


# ---- the program -------------------------------------------------------------------------------------------------------

class Listeners:
    """What the portal listens on; taken down and put back by the outage command."""

    def __init__(self, portal, addresses, context):
        self.portal, self.addresses, self.context = portal, addresses, context
        self.runner = None

    async def up(self):
        self.runner = web.AppRunner(self.portal.app, access_log=None)
        await self.runner.setup()
        for address in self.addresses:
            if address.startswith("unix:"):
                site = web.UnixSite(self.runner, address[5:], shutdown_timeout=1)
            else:
                host, _, port = address.rpartition(":")
                sock = socket.create_server((host.strip("[]"), int(port)), reuse_port=False, backlog=512,
                                            family=socket.AF_INET6 if ":" in host else socket.AF_INET)
                site = web.SockSite(self.runner, sock, ssl_context=self.context, shutdown_timeout=1)
            await site.start()

    async def down(self):
        for conn in list(self.portal.conns.values()):
            conn.abort()
        if self.runner:
            await self.runner.cleanup()
        self.runner = None


async def serve(args):
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
    with open(args.config) as f:
        config = yaml.safe_load(f)
    portal = Portal(config, args.state, args.transcript)
    listeners = Listeners(portal, args.listen, context)
    control = portal_control.Control(portal, listeners)
    await listeners.up()
    server = await control.start(args.control)
    stop = asyncio.Event()
    for sig in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    print("portal: listening on", " ".join(args.listen), flush=True)
    await stop.wait()
    server.close()
    await listeners.down()


def ctl(path, words):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(path)
        s.sendall((json.dumps(words) + "\n").encode())
        answer = json.loads(s.makefile().readline())
    print(answer["text"] if "text" in answer else json.dumps(answer, indent=1))
    return 0 if answer["ok"] else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    p = verbs.add_parser("serve")
    p.add_argument("--config", required=True)
    p.add_argument("--control", required=True)
    p.add_argument("--listen", action="append", required=True)
    p.add_argument("--cert")
    p.add_argument("--key")
    p.add_argument("--state")
    p.add_argument("--transcript")
    p = verbs.add_parser("ctl")
    p.add_argument("socket")
    p.add_argument("words", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if args.verb == "ctl":
        return ctl(args.socket, args.words)
    if args.control and os.path.exists(args.control):
        os.unlink(args.control)
    try:
        asyncio.run(serve(args))
    except (model.ConfigError, KeyError, OSError) as e:
        print(f"portal: {e!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
