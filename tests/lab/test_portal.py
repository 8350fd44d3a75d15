#!/usr/bin/python3
"""The lab's portal by itself: a client, a gateway and a relay that speak the protocol over Unix sockets, no network.

What the recorded conversations (tests/unit/data) and docs/protocol/portal.md say is what is asserted."""
import asyncio
import base64
import hashlib
import json
import os
import pathlib
import sys
import tempfile
import time
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
try:
    import aiohttp
    import yaml

    import portal
    import portal_control
    import portal_model
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

CLIENT_AGENT = "Debian/12.0.0 headless-client/1.5.12 (x86_64; 6.1.0)"
GATEWAY_AGENT = "Debian/12.0.0 gateway/1.6.1 (x86_64; 6.1.0)"
KEY = {name: base64.b64encode(hashlib.sha256(name.encode()).digest()).decode() for name in ("c1", "c2", "g1", "g2")}
OFFICE = portal_model.name_id("lab", "resource", "office")


class Peer:
    """One end of a socket: says events, and waits for the ones it names."""

    def __init__(self, topic, ws):
        self.topic, self.ws, self.ref = topic, ws, 0

    async def say(self, event, payload=None, topic=None):
        ref, self.ref = self.ref, self.ref + 1
        await self.ws.send_str(json.dumps({"topic": topic or self.topic, "event": event, "payload": payload, "ref": ref}))
        return ref

    async def hear(self, event, seconds=5):
        async with asyncio.timeout(seconds):
            while True:
                msg = await self.ws.receive()
                if msg.type != aiohttp.WSMsgType.TEXT:
                    raise AssertionError(f"{event} was awaited, {msg.type!r} came")
                frame = json.loads(msg.data)
                if frame["event"] == event:
                    return frame

    async def hears_nothing(self, event, seconds=0.3):
        try:
            await self.hear(event, seconds)
        except TimeoutError:
            return
        raise AssertionError(f"{event} came")

    async def join(self, payload=None):
        ref = await self.say("phx_join", payload)
        reply = await self.hear("phx_reply")
        assert reply == {"topic": self.topic, "event": "phx_reply", "ref": ref, "payload": {"status": "ok", "response": {}}}
        return (await self.hear("init"))["payload"]


class PortalTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.peers = []  # held: one that nobody holds closes
        self.config = yaml.safe_load((HERE / "lab.yaml").read_text())
        await self.start()
        self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(f"{self.dir.name}/http"))

    async def start(self):
        self.portal = portal.Portal(self.config, f"{self.dir.name}/state", f"{self.dir.name}/transcript")
        self.listeners = portal.Listeners(self.portal, [f"unix:{self.dir.name}/http"], None)
        self.control = portal_control.Control(self.portal, self.listeners)
        await self.listeners.up()

    async def asyncTearDown(self):
        for peer in self.peers:
            await peer.ws.close()
        await self.session.close()
        await self.listeners.down()
        self.portal.transcript.file.close()
        await asyncio.sleep(0)
        self.dir.cleanup()

    async def ctl(self, *words):
        answer = await self.control.run(list(words))
        self.assertTrue(answer["ok"], answer)
        return answer

    # ---- dialling ------------------------------------------------------------------------------------------------------

    async def dial(self, role, token, key="c1", agent=None, path=None, **query):
        q = {"external_id": f"id-{key}", "name": key, "public_key": KEY.get(key, key)} | query
        if role == "relay":
            q = query
        path = path or (f"/{role}/v2/websocket" if role != "relay" else "/relay/websocket")
        headers = {"X-Authorization": f"Bearer {token}"} if token else {}
        headers["User-Agent"] = agent if agent is not None else CLIENT_AGENT if role == "client" else GATEWAY_AGENT
        url = f"http://portal.lab.test{path}?" + urllib.parse.urlencode({k: v for k, v in q.items() if v is not None})
        self.peers.append(Peer(role, await self.session.ws_connect(url, headers=headers, autoping=True)))
        return self.peers[-1]

    async def client(self, key="c1", **more):
        peer = await self.dial("client", ".lab.client.robot", key, **more)
        return peer, await peer.join()

    async def gateway(self, key="g1", token=".lab.gateway.hq", **more):
        peer = await self.dial("gateway", token, key, **more)
        return peer, await peer.join()

    async def refusal(self, *args, **more):
        """Status, code and headers of a refused upgrade: read without the WebSocket client, which hides the body."""
        role, token = args[0], args[1]
        key = more.pop("key", "c1")
        q = {"external_id": "id", "name": key, "public_key": KEY.get(key, key)} | more
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==", "User-Agent": more.pop("agent", CLIENT_AGENT)}
        q.pop("agent", None)
        if token:
            headers["X-Authorization"] = f"Bearer {token}"
        path = f"/{role}/v2/websocket" if role != "relay" else "/relay/websocket"
        async with self.session.get(f"http://x{path}", params=q, headers=headers, allow_redirects=False) as r:
            body = await r.text()
            if r.content_type == "application/problem+json":
                doc = json.loads(body)
                self.assertEqual(doc["status"], r.status)
                return r.status, doc["code"], r.headers
            return r.status, None, r.headers

    async def authorize(self, client, gateway):
        await client.say("request_authorization", {"resource_id": OFFICE, "connected_gateway_ids": []})
        create = (await gateway.hear("create_authorization"))["payload"]
        ref = await gateway.say("authorization_created", {"ref": create["ref"]})
        reply = await gateway.hear("phx_reply")
        self.assertEqual((reply["ref"], reply["payload"]["status"]), (ref, "ok"))
        return create, (await client.hear("authorization_created"))["payload"]

    # ---- joining -------------------------------------------------------------------------------------------------------

    async def test_a_client_joins_and_is_told_everything(self):
        client, init = await self.client()
        self.assertEqual(set(init), {"interface", "resources", "relays", "authorizations", "flow_logs"})
        self.assertEqual(init["interface"]["upstream_do53"], [{"ip": "10.20.0.53"}])
        self.assertEqual({r["type"] for r in init["resources"]}, {"cidr", "dns", "internet"})
        self.assertEqual([r["id"] for r in init["relays"]], [init["relays"][0]["id"]] * 2)
        web_only = next(r for r in init["resources"] if r.get("name") == "web-only")
        self.assertEqual(web_only["filters"], [{"protocol": "tcp", "port_range_start": 80, "port_range_end": 80}])
        ref = await client.say("heartbeat", {}, topic="phoenix")
        self.assertEqual((await client.hear("phx_reply"))["ref"], ref)

    async def test_a_gateway_joins_and_is_told_everything(self):
        _, init = await self.gateway()
        self.assertEqual(set(init), {"interface", "config", "relays", "account_slug", "authorizations", "flow_logs"})
        self.assertEqual(init["relays"][0]["expires_at"], 2145916800)

    async def test_addresses_stay_with_the_device(self):
        first, a = await self.client()
        await first.ws.close()
        second, b = await self.client()
        _, c = await self.client("c2")
        self.assertEqual(a["interface"], b["interface"])
        self.assertNotEqual(a["interface"]["ipv4"], c["interface"]["ipv4"])
        await second.ws.close()

    async def test_nothing_is_answered_before_the_join(self):
        client = await self.dial("client", ".lab.client.robot")
        await client.say("request_authorization", {"resource_id": OFFICE})
        reply = await client.hear("phx_reply")
        self.assertEqual(reply["payload"], {"status": "error", "response": {"reason": "unmatched topic"}})

    async def test_an_unknown_event_is_answered_with_an_error(self):
        client, _ = await self.client()
        await client.say("create_flow", {})
        self.assertEqual((await client.hear("phx_reply"))["payload"]["response"], {"reason": "unknown_message"})

    async def test_an_actor_sees_what_a_policy_gives(self):
        self.portal.model.accounts["lab"].policies = [{"actors": ["robot"], "resources": ["office"]}]
        _, init = await self.client()
        self.assertEqual([r["name"] for r in init["resources"]], ["office"])

    # ---- refusals ------------------------------------------------------------------------------------------------------

    async def test_tokens_are_judged(self):
        self.assertEqual((await self.refusal("client", None))[:2], (401, "missing_token"))
        self.assertEqual((await self.refusal("client", ".nobody"))[:2], (401, "invalid_token"))
        self.assertEqual((await self.refusal("client", ".lab.gateway.hq"))[:2], (401, "invalid_token"))
        self.assertEqual((await self.refusal("gateway", ".lab.client.robot"))[:2], (401, "invalid_token"))

    async def test_parameters_are_judged(self):
        for more in ({"key": "short"}, {"external_id": ""}, {"name": ""}, {"agent": "curl/8"}):
            self.assertEqual((await self.refusal("client", ".lab.client.robot", **more))[:2],
                             (400, "invalid_connect_params"), more)
        self.assertEqual((await self.refusal("relay", ".lab.relay"))[:2], (500, "unhandled_connect_error"))

    async def test_accounts_are_judged(self):
        await self.ctl("account", "lab", "disabled", "on")
        self.assertEqual((await self.refusal("client", ".lab.client.robot"))[:2], (403, "account_disabled"))
        await self.ctl("account", "lab", "disabled", "off")
        await self.ctl("account", "lab", "over-limit", "on")
        self.assertEqual((await self.refusal("client", ".lab.client.robot"))[:2], (402, "limits_exceeded"))

    async def test_a_gateway_connects_once(self):
        await self.gateway()
        with self.assertRaises(aiohttp.WSServerHandshakeError) as e:
            await self.gateway()
        self.assertEqual(e.exception.status, 409)

    async def test_connects_are_limited_if_wanted(self):
        await self.ctl("rate-limit", "on")
        self.assertEqual((await self.refusal("client", ".x"))[0], 401)
        status, code, headers = await self.refusal("client", ".x")
        self.assertEqual((status, code, headers["Retry-After"]), (503, "rate_limit", "1"))

    async def test_any_status_can_be_asked_for(self):
        for status in (302, 400, 401, 402, 403, 409, 429, 500, 502, 503):
            await self.ctl("refuse", "client", str(status), "some_code", "times=1", "retry-after=7")
            got, code, headers = await self.refusal("client", ".lab.client.robot")
            self.assertEqual((got, code, headers["Retry-After"]), (status, "some_code", "7"))
        await self.ctl("refuse", "client", "401", "times=1", "body=html")
        self.assertEqual((await self.refusal("client", ".lab.client.robot"))[:2], (401, None))
        await self.client()

    # ---- authorizations ------------------------------------------------------------------------------------------------

    async def test_client_and_gateway_are_brought_together(self):
        gateway, _ = await self.gateway()
        client, init = await self.client()
        create, created = await self.authorize(client, gateway)
        self.assertEqual(create["client"]["public_key"], KEY["c1"])
        self.assertEqual(create["client"]["ipv4"], init["interface"]["ipv4"])
        self.assertEqual(create["client"]["version"], "1.5.12")
        self.assertEqual(created["gateway_public_key"], KEY["g1"])
        self.assertEqual(create["client"]["preshared_key"], created["preshared_key"])
        self.assertEqual(len(base64.b64decode(created["preshared_key"])), 32)
        for who in ("client", "gateway"):
            self.assertEqual(create[f"{who}_ice_credentials"], created[f"{who}_ice_credentials"])
            self.assertEqual((len(created[f"{who}_ice_credentials"]["username"]), len(created[f"{who}_ice_credentials"]["password"])), (4, 22))
        self.assertEqual(create["resource"], {"id": OFFICE, "type": "cidr", "address": "10.20.0.0/24", "name": "office", "filters": []})
        self.assertEqual(len(create["flow_logs_ingest_token"].split(".")), 3)
        again, _ = await self.authorize(client, gateway)
        self.assertEqual(again["client"], create["client"])

    async def test_candidates_go_both_ways(self):
        gateway, _ = await self.gateway()
        client, _ = await self.client()
        create, created = await self.authorize(client, gateway)
        for said, heard in (("new_gateway_ice_candidates", "ice_candidates"),
                            ("invalidate_gateway_ice_candidates", "invalidate_ice_candidates")):
            await client.say(said, {"gateway_id": created["gateway_id"], "candidates": ["a", "b"]})
            self.assertEqual((await gateway.hear(heard))["payload"], {"client_id": create["client"]["id"], "candidates": ["a", "b"]})
        for said, heard in (("broadcast_ice_candidates", "ice_candidates"),
                            ("broadcast_invalidated_ice_candidates", "invalidate_ice_candidates")):
            await gateway.say(said, {"client_ids": [create["client"]["id"]], "candidates": ["c"]})
            self.assertEqual((await client.hear(heard))["payload"], {"gateway_id": created["gateway_id"], "candidates": ["c"]})

    async def test_an_authorization_fails_for_a_reason(self):
        client, _ = await self.client()
        await client.say("request_authorization", {"resource_id": OFFICE, "connected_gateway_ids": []})
        failed = await client.hear("authorization_creation_failed")
        self.assertEqual(failed["payload"], {"resource_id": OFFICE, "reason": "offline"})
        await client.say("request_authorization", {"resource_id": KEY["c1"], "connected_gateway_ids": []})
        self.assertEqual((await client.hear("authorization_creation_failed"))["payload"]["reason"], "not_found")
        await self.ctl("deny", "office", "forbidden")
        await client.say("request_authorization", {"resource_id": OFFICE, "connected_gateway_ids": []})
        self.assertIn("violated_properties", (await client.hear("authorization_creation_failed"))["payload"])

    async def test_an_old_gateway_does_not_fit(self):
        await self.gateway(agent="Debian/12.0.0 gateway/1.3.9 (x86_64)")
        client, _ = await self.client()
        await client.say("request_authorization", {"resource_id": OFFICE, "connected_gateway_ids": []})
        self.assertEqual((await client.hear("authorization_creation_failed"))["payload"]["reason"], "version_mismatch")

    async def test_a_connected_gateway_is_preferred(self):
        a, _ = await self.gateway("g1")
        b, _ = await self.gateway("g2")
        client, _ = await self.client()
        ids = {c.name: c.device.id for c in self.portal.of_role("gateway")}
        for key, peer in (("g1", a), ("g2", b)) * 3:
            await client.say("request_authorization", {"resource_id": OFFICE, "connected_gateway_ids": [ids[key]]})
            await peer.hear("create_authorization")

    async def test_a_silent_gateway_counts_as_offline(self):
        seconds, portal.AUTHORIZATION_SECONDS = portal.AUTHORIZATION_SECONDS, 0.1
        self.addCleanup(setattr, portal, "AUTHORIZATION_SECONDS", seconds)
        gateway, _ = await self.gateway()
        client, _ = await self.client()
        await client.say("request_authorization", {"resource_id": OFFICE, "connected_gateway_ids": []})
        create = await gateway.hear("create_authorization")
        self.assertEqual((await client.hear("authorization_creation_failed"))["payload"]["reason"], "offline")
        await gateway.say("authorization_created", {"ref": create["payload"]["ref"]})
        self.assertEqual((await gateway.hear("phx_reply"))["payload"]["response"], {"reason": "invalid_ref"})

    async def test_live_grants_are_in_a_gateways_init(self):
        gateway, _ = await self.gateway()
        client, _ = await self.client()
        create, _ = await self.authorize(client, gateway)
        await gateway.ws.close()
        await asyncio.sleep(0)
        gateway, init = await self.gateway()
        self.assertEqual(init["authorizations"], [{"client_id": create["client"]["id"], "resource_id": OFFICE,
                                                   "expires_at": create["expires_at"]}])
        await self.ctl("reject", "c1", "office")
        self.assertEqual((await gateway.hear("reject_access"))["payload"], {"client_id": create["client"]["id"], "resource_id": OFFICE})
        await self.ctl("init", "gateway")
        self.assertEqual((await gateway.hear("init"))["payload"]["authorizations"], [])

    async def test_a_grant_can_be_short(self):
        await self.ctl("grant-seconds", "1")
        gateway, _ = await self.gateway()
        client, _ = await self.client()
        create, _ = await self.authorize(client, gateway)
        self.assertLessEqual(create["expires_at"], portal.time.time() + 1)

    # ---- changes -------------------------------------------------------------------------------------------------------

    async def test_changes_of_resources_are_told(self):
        gateway, _ = await self.gateway()
        client, _ = await self.client()
        await self.authorize(client, gateway)
        given = {"type": "cidr", "address": "10.20.0.0/24", "site": "hq", "filters": ["icmp"]}
        await self.ctl("resource", "lab", "office", json.dumps(given))
        self.assertEqual((await gateway.hear("resource_updated"))["payload"]["filters"], [{"protocol": "icmp"}])
        self.assertEqual((await client.hear("resource_created_or_updated"))["payload"]["filters"], [{"protocol": "icmp"}])
        await self.ctl("resource", "lab", "office", json.dumps(given | {"address": "10.25.0.0/24"}))
        await gateway.hear("reject_access")
        self.assertEqual((await client.hear("resource_created_or_updated"))["payload"]["address"], "10.25.0.0/24")
        await self.ctl("resource", "lab", "office", "null")
        self.assertEqual((await client.hear("resource_deleted"))["payload"], OFFICE)
        await self.ctl("interface", "lab", '{"search_domain": "lab.test"}')
        self.assertEqual((await client.hear("config_changed"))["payload"]["interface"]["search_domain"], "lab.test")
        await self.ctl("readdress", "c1", "100.64.7.7", "fd00:2021:1111::7:7")
        self.assertEqual((await client.hear("init"))["payload"]["interface"]["ipv4"], "100.64.7.7")

    async def test_relays_come_and_go(self):
        client, init = await self.client()
        await self.ctl("relay", "relay", "down")
        gone = (await client.hear("relays_presence"))["payload"]
        self.assertEqual(gone, {"disconnected_ids": [init["relays"][0]["id"]], "connected": []})
        await self.ctl("relay", "relay", "up")
        self.assertEqual(len((await client.hear("relays_presence"))["payload"]["connected"]), 2)
        await client.say("no_relays", {})
        self.assertEqual(len((await client.hear("relays_presence"))["payload"]["connected"]), 2)

    async def test_a_relay_makes_itself_known(self):
        client, _ = await self.client()
        relay = await self.dial("relay", ".lab.relay", ipv4="203.0.113.21", port="3478")
        await relay.join({"stamp_secret": "1cab293a-4032-46f4-862a-40e5d174b0d2"})
        entry = (await client.hear("relays_presence"))["payload"]["connected"][-1]
        self.assertEqual(entry["addr"], "203.0.113.21:3478")
        expiry, _, salt = entry["username"].partition(":")
        self.assertEqual(entry["password"], portal_model.relay_password(int(expiry), "1cab293a-4032-46f4-862a-40e5d174b0d2", salt))
        await relay.ws.close()
        self.assertEqual((await client.hear("relays_presence"))["payload"]["disconnected_ids"], [entry["id"]])

    def test_a_relays_password_is_as_the_relay_computes_it(self):
        self.assertEqual(portal_model.relay_password(1685984278, "1cab293a-4032-46f4-862a-40e5d174b0d2", "uvdgKvS9GXYZ_vmv"),
                         "6xUIoZ+QvxKhRasLifwfRkMXl+ETLJUsFkHlXjlHAkg")

    # ---- faults --------------------------------------------------------------------------------------------------------

    async def test_messages_vanish_and_wait(self):
        client, _ = await self.client()
        await self.ctl("drop", "c1", "in", "heartbeat", "times=1")
        await client.say("heartbeat", {}, topic="phoenix")
        await client.hears_nothing("phx_reply")
        await self.ctl("delay", "client", "out", "relays_presence", "0.4", "times=1")
        await client.say("no_relays", {})
        await client.hears_nothing("relays_presence", 0.2)

    async def test_sockets_end_in_every_way(self):
        for words, code in ((("close", "c1", "1000"), 1000), (("close", "c1", "1012"), 1012), (("abort", "c1"), None)):
            client, _ = await self.client()
            await self.ctl(*words)
            msg = await client.ws.receive(timeout=5)
            self.assertIn(msg.type, (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED))
            if code:
                self.assertEqual(msg.data, code)
            await client.ws.close()

    async def test_an_expired_token_ends_the_session(self):
        client, _ = await self.client()
        await self.ctl("expire", "c1")
        self.assertEqual((await client.hear("disconnect"))["payload"], {"reason": "token_expired"})
        self.assertEqual((await client.ws.receive(timeout=5)).type, aiohttp.WSMsgType.CLOSE)
        self.assertEqual((await self.refusal("client", ".lab.client.robot"))[:2], (401, "invalid_token"))

    async def test_anything_can_be_sent(self):
        client, _ = await self.client()
        await self.ctl("push", "c1", "resource_deleted", '"x"')
        self.assertEqual((await client.hear("resource_deleted"))["payload"], "x")
        await self.ctl("text", "c1", "not json")
        self.assertEqual((await client.ws.receive(timeout=5)).data, "not json")
        await self.ctl("binary", "c1", "00ff")
        self.assertEqual((await client.ws.receive(timeout=5)).data, b"\0\xff")
        await self.ctl("bytes", "c1", "8103414243")
        self.assertEqual((await client.ws.receive(timeout=5)).data, "ABC")

    async def test_a_name_that_is_a_roles_word_can_be_meant_alone(self):
        one = await self.dial("client", ".lab.client.robot", "c1", name="client")
        two = await self.dial("client", ".lab.client.robot", "c2")
        await one.join()
        await two.join()
        await self.ctl("push", "@client", "news", "1")
        await one.hear("news")
        await two.hears_nothing("news")
        await self.ctl("push", "client", "news", "2")
        await two.hear("news")

    async def test_it_can_be_summed_up_for_people(self):
        self.assertIn("nobody is connected", (await self.ctl("summary"))["text"])
        await self.client()
        await self.ctl("deny", "office", "forbidden")
        text = (await self.ctl("summary"))["text"]
        self.assertRegex(text, r"client +c1 +100\.64\.\d+\.\d+ +fd00:2021:1111:[\w:]+ +joined")
        self.assertIn('switch   {"resource": "office", "reason": "forbidden"}', text)

    async def test_an_outage_and_its_end(self):
        client, _ = await self.client()
        await self.ctl("outage", "0.2")
        self.assertIn((await client.ws.receive(timeout=5)).type, (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR))
        with self.assertRaises((aiohttp.ClientError, OSError)):
            await self.client()
        await asyncio.sleep(0.5)
        await self.client()

    async def test_a_join_can_be_refused(self):
        await self.ctl("refuse-join", "client", "nope", "times=1")
        client = await self.dial("client", ".lab.client.robot")
        await client.say("phx_join", {})
        self.assertEqual((await client.hear("phx_reply"))["payload"], {"status": "error", "response": {"reason": "nope"}})

    async def test_a_flood_of_resources(self):
        await self.ctl("flood", "5000")
        _, init = await self.client()
        self.assertGreater(len(init["resources"]), 5000)
        self.assertEqual(len({r["address"] for r in init["resources"] if r.get("name", "").startswith("flood")}), 5000)

    # ---- signing in, restarting, old words -----------------------------------------------------------------------------

    async def test_a_person_signs_in(self):
        async with self.session.get("http://x/lab", params={"as": "gui-client", "nonce": "n" * 64, "state": "s" * 64}) as r:
            self.assertIn("Alice Example", await r.text())
        form = {"as": "gui-client", "nonce": "n" * 64, "state": "s" * 64, "actor": "alice"}
        async with self.session.post("http://x/lab/sign_in", data=form, allow_redirects=False) as r:
            self.assertEqual(r.status, 302)
            link = r.headers["Location"]
        self.assertTrue(link.startswith("firezone-fd0020211111://handle_client_sign_in_callback?"))
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query))
        self.assertEqual((query["state"], query["account_slug"], query["actor_name"]), ("s" * 64, "lab", "Alice Example"))
        self.assertTrue(query["fragment"].startswith("."))
        peer = await self.dial("client", "n" * 64 + query["fragment"])
        await peer.join()
        self.assertEqual((await self.refusal("client", query["fragment"]))[:2], (401, "invalid_token"))

    async def test_a_token_to_paste(self):
        async with self.session.post("http://x/lab/sign_in", data={"as": "headless-client", "actor": "bob"}) as r:
            token = (await r.text()).split("<pre id=token>")[1].split("<")[0]
        peer = await self.dial("client", token)
        self.assertEqual([r["name"] for r in (await peer.join())["resources"]], ["office"])

    async def test_state_outlives_a_restart(self):
        gateway, _ = await self.gateway()
        client, init = await self.client()
        await self.authorize(client, gateway)
        await self.listeners.down()
        os.unlink(f"{self.dir.name}/http")
        self.portal.transcript.file.close()
        await self.start()
        _, again = await self.client()
        self.assertEqual(again["interface"], init["interface"])
        _, init = await self.gateway()
        self.assertEqual(len(init["authorizations"]), 1)

    async def test_old_words_are_spoken_at_old_doors(self):
        gateway = await self.dial("gateway", ".lab.gateway.hq", "g1", path="/gateway/websocket")
        await gateway.join()
        client = await self.dial("client", ".lab.client.robot", path="/client/websocket")
        await client.join()
        await client.say("create_flow", {"resource_id": OFFICE, "connected_gateway_ids": []})
        ref = (await gateway.hear("authorize_flow"))["payload"]["ref"]
        await gateway.say("flow_authorized", {"ref": ref})
        self.assertIn("gateway_group_id", (await client.hear("flow_created"))["payload"])

    async def test_it_keeps_a_transcript(self):
        await self.client()
        with open(f"{self.dir.name}/transcript") as f:
            began, *entries = [json.loads(line) for line in f]
        self.assertLessEqual(began["monotonic"], time.monotonic())
        self.assertEqual(entries[0]["dir"], "client>portal")
        self.assertIn("path", entries[0]["http"])
        self.assertEqual([e["msg"]["event"] for e in entries if "msg" in e][:3], ["phx_join", "phx_reply", "init"])


def main():
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed, 0 skipped", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
