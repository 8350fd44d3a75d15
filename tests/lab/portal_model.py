"""What the lab's portal knows: accounts from the YAML file, devices and grants that came up since, and every value the
protocol derives from them (ids, keys, credentials). No sockets in here. docs/protocol/portal.md has the protocol."""
import base64
import dataclasses
import hashlib
import hmac
import ipaddress
import json
import os
import re
import secrets
import time
import uuid

NAMESPACE = uuid.UUID("8a0b8c52-2f3c-4d35-9b86-5d7f9d6a1c01")
GATEWAY_RELAY_EXPIRY = 2145916800  # gateways' relay credentials last until 2038
CLIENT_POOL4, GATEWAY_POOL4 = ipaddress.ip_address("100.64.1.0"), ipaddress.ip_address("100.64.0.0")
POOL6 = ipaddress.ip_address("fd00:2021:1111::")
COMPONENTS = ("headless-client", "gui-client", "apple-client", "android-client", "gateway", "relay", "connlib")


class ConfigError(Exception):
    pass


def name_id(*words):
    """The id of something named in the YAML file: the same in every run."""
    return str(uuid.uuid5(NAMESPACE, "/".join(words)))


def b64(raw):
    return base64.b64encode(raw).decode()


def b64_bare(raw):
    return b64(raw).rstrip("=")


def token_hash(token):
    return hashlib.sha256(token.encode()).hexdigest()


# ---- what the YAML file says -------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Actor:
    key: str
    id: str
    name: str
    email: str | None
    account: "Account"


@dataclasses.dataclass
class Site:
    key: str
    id: str


@dataclasses.dataclass
class Token:
    kind: str  # client, gateway or relay
    account: "Account"
    actor: Actor | None = None
    site: Site | None = None
    expires_at: float | None = None

    def is_live(self):
        return self.expires_at is None or time.time() < self.expires_at


@dataclasses.dataclass
class Resource:
    key: str
    id: str
    type: str
    name: str
    address: str | None
    description: str | None
    site: Site
    filters: list
    ip_stack: str | None = None

    def wire_type(self):
        return "cidr" if self.type == "ip" else self.type

    def for_client(self, old_words=False):
        sites = [{"id": self.site.id, "name": self.site.key}]
        out = {"id": self.id, "type": self.wire_type(), "gateway_groups" if old_words else "sites": sites}
        if self.type == "internet":
            return out | {"can_be_disabled": True}
        out |= {"address": self.address, "address_description": self.description, "name": self.name,
                "filters": self.filters}
        if self.type == "dns" and self.ip_stack:
            out["ip_stack"] = self.ip_stack
        return out

    def for_gateway(self):
        if self.type == "internet":
            return {"id": self.id, "type": "internet"}
        return {"id": self.id, "type": self.wire_type(), "address": self.address, "name": self.name,
                "filters": self.filters}


@dataclasses.dataclass
class Account:
    slug: str
    id: str
    name: str
    interface: dict
    actors: dict
    sites: dict
    resources: dict
    policies: list
    is_disabled: bool = False
    is_over_limit: bool = False

    def interface_for(self, device):
        given = self.interface
        return {
            "search_domain": given.get("search_domain"),
            "upstream_do53": [{"ip": ip} for ip in given.get("upstream_do53", [])],
            "upstream_doh": [{"url": url} for url in given.get("upstream_doh", [])],
            "upstream_dns": [{"protocol": "ip_port", "address": join_port(ip, 53)} for ip in given.get("upstream_do53", [])],
            "ipv4": device.ipv4, "ipv6": device.ipv6,
        }

    def policy(self, actor, resource):
        for p in self.policies:
            if actor.key in p["actors"] and (p["resources"] == "all" or resource.key in p["resources"]):
                return p
        return None

    def visible(self, actor):
        return [r for r in self.resources.values() if self.policy(actor, r)]


def join_port(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def parse_filter(text):
    m = re.fullmatch(r"(tcp|udp)(?:/(\d+)(?:-(\d+))?)?|icmp", text)
    if not m:
        raise ConfigError(f"no filter: {text!r} (tcp/80, udp/53-60, icmp)")
    if text == "icmp":
        return {"protocol": "icmp"}
    first = int(m[2] or 0)
    last = int(m[3] or m[2] or 65535)
    if first > last or last > 65535:
        raise ConfigError(f"no port range: {text!r}")
    return {"protocol": m[1], "port_range_start": first, "port_range_end": last}


def make_resource(account_slug, key, given, sites):
    kind = given.get("type")
    if kind not in ("cidr", "dns", "internet", "ip"):
        raise ConfigError(f"resource {key}: no such type: {kind!r}")
    address = given.get("address")
    if kind in ("cidr", "ip"):
        address = str(ipaddress.ip_network(address, strict=False))
    if given.get("site") not in sites:
        raise ConfigError(f"resource {key}: no such site: {given.get('site')!r}")
    return Resource(key=key, id=given.get("id") or name_id(account_slug, "resource", key), type=kind,
                    name=given.get("name", key), address=address, description=given.get("description"),
                    site=sites[given["site"]], filters=[parse_filter(f) for f in given.get("filters", [])],
                    ip_stack=given.get("ip_stack"))


def make_account(given):
    slug = given["slug"]
    sites = {key: Site(key, name_id(slug, "site", key)) for key in given.get("sites", [])}
    account = Account(slug=slug, id=name_id(slug), name=given.get("name", slug), interface=given.get("interface") or {},
                      actors={}, sites=sites, resources={}, policies=given.get("policies", []))
    for key, a in (given.get("actors") or {}).items():
        account.actors[key] = Actor(key, name_id(slug, "actor", key), a.get("name", key), a.get("email"), account)
    for key, r in (given.get("resources") or {}).items():
        account.resources[key] = make_resource(slug, key, r, sites)
    for p in account.policies:
        for key in p["actors"]:
            if key not in account.actors:
                raise ConfigError(f"policy: no such actor: {key!r}")
        for key in p["resources"] if p["resources"] != "all" else ():
            if key not in account.resources:
                raise ConfigError(f"policy: no such resource: {key!r}")
    return account


def make_token(account, given):
    text = given["token"]
    if "." not in text:
        raise ConfigError(f"a token has a dot: {text!r}")
    if "actor" in given:
        return Token("client", account, actor=account.actors[given["actor"]])
    if "site" in given:
        return Token("gateway", account, site=account.sites[given["site"]])
    if given.get("relay"):
        return Token("relay", account)
    raise ConfigError(f"token {text!r} is nobody's: give it an actor, a site or relay: true")


# ---- relays ------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Relay:
    key: str
    id: str
    addresses: list
    secret: str
    credentials: str  # "firezone" (SHA-256 over a secret the relay made) or "coturn" (its REST API's HMAC-SHA1)
    is_up: bool = True

    def entries(self, device, expires_at):
        """One per address, adjacent, all with the same credentials."""
        salt = b64_bare(hashlib.sha256(device.public_key.encode()).digest())
        username = f"{int(expires_at)}:{salt}"
        if self.credentials == "coturn":
            password = b64(hmac.digest(self.secret.encode(), username.encode(), "sha1"))
        else:
            password = relay_password(int(expires_at), self.secret, salt)
        return [{"id": self.id, "type": "turn", "addr": addr, "username": username, "password": password,
                 "expires_at": int(expires_at)} for addr in self.addresses]


def relay_password(expiry, secret, salt):
    return b64_bare(hashlib.sha256(f"{expiry}:{secret}:{salt}".encode()).digest())


def relay_id(stamp_secret):
    return str(uuid.UUID(bytes=hashlib.sha256(stamp_secret.encode()).digest()[:16], version=4))


# ---- devices and grants ------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Device:
    id: str
    role: str
    name: str
    owner: str  # actor's or site's id
    ipv4: str
    ipv6: str
    public_key: str = ""

    def psk_base(self):
        return hashlib.sha256(b"psk/" + self.id.encode()).digest()


@dataclasses.dataclass
class Grant:
    id: str
    client_id: str
    gateway_id: str
    resource_id: str
    expires_at: int


def preshared_key(client, gateway):
    salt = f"WG_PSK|C_ID:{client.id}|G_ID:{gateway.id}|C_PK:{client.public_key}|G_PK:{gateway.public_key}"
    return b64(hashlib.pbkdf2_hmac("sha256", client.psk_base() + gateway.psk_base(), salt.encode(), 1, 32))


def ice_credentials(initiator, receiver):
    """Of the initiator and of the receiver."""
    text = f"{initiator.id}:{initiator.public_key}:{receiver.id}:{receiver.public_key}"
    h = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower().rstrip("=")
    return ({"username": h[0:4], "password": h[4:26]}, {"username": h[26:30], "password": h[30:52]})


def ingest_token(account, role, client, gateway, resource, actor, grant):
    """A JSON Web Token that no upload is wanted for; devices take it as opaque."""
    now = int(time.time())

    def part(obj):
        raw = obj if isinstance(obj, bytes) else json.dumps(obj, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def iso(t):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
    head = part({"alg": "HS256"}) + "." + part({
        "account_id": account.id, "iat": now, "exp": grant.expires_at, "uploads_enabled": False, "role": role,
        "initiator_device_id": client.id, "responder_device_id": gateway.id, "policy_authorization_id": grant.id,
        "policy_id": name_id(account.slug, "policy", resource.key), "resource_id": resource.id,
        "resource_name": resource.name, "resource_address": resource.address or "", "initiator_actor_id": actor.id,
        "initiator_actor_name": actor.name, "authorized_at": iso(now), "authorization_expires_at": iso(grant.expires_at)})
    return head + "." + part(hmac.digest(b"lab", head.encode(), "sha256"))


def parse_user_agent(text):
    """(component, version as a tuple) or (None, None); (component, None) if its version is none."""
    for word in (text or "").split(" "):
        component, slash, version = word.partition("/")
        if slash and component in COMPONENTS:
            m = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
            return component, tuple(map(int, m.groups())) if m else None
    return None, None


def is_compatible(client_version, gateway_version):
    if client_version is None:
        return True
    if gateway_version is None:
        return False
    major, minor, _ = client_version
    return (major, max(minor - 1, 0), 0) <= gateway_version < (major, minor + 2, 0)


# ---- all of it ---------------------------------------------------------------------------------------------------------

class Model:
    """Accounts and relays from the file; tokens, devices and grants, which outlive a restart in the state file."""

    def __init__(self, config, state_path=None):
        self.accounts, self.tokens, self.relays = {}, {}, {}
        self.devices, self.grants = {}, {}
        self.state_path = state_path
        for given in config.get("accounts", []):
            account = make_account(given)
            self.accounts[account.slug] = account
            for t in given.get("tokens", []):
                self.tokens[token_hash(t["token"])] = make_token(account, t)
        for key, given in (config.get("relays") or {}).items():
            self.relays[key] = Relay(key, name_id("relay", key), given["addresses"], given["secret"],
                                     given.get("credentials", "firezone"))
        self.signed_in = {}
        self._load()

    # A sign-in's token is kept by its hash, as the portal does.
    def sign_in(self, actor, nonce, seconds=None):
        fragment = ".SFMyNTY." + secrets.token_urlsafe(48)
        expires_at = time.time() + seconds if seconds else None
        digest = token_hash(nonce + fragment)
        self.signed_in[digest] = [actor.account.slug, actor.key, expires_at]
        self.tokens[digest] = Token("client", actor.account, actor=actor, expires_at=expires_at)
        self.save()
        return fragment

    def token(self, text):
        return self.tokens.get(token_hash(text))

    def device(self, role, owner, external_id, name, public_key):
        ident = name_id(role, owner.id, external_id)
        d = self.devices.get(ident)
        if d is None:
            n = 1 + sum(1 for x in self.devices.values() if x.role == role)
            base = CLIENT_POOL4 if role == "client" else GATEWAY_POOL4
            d = Device(ident, role, name, owner.id, str(base + n), str(POOL6 + (0x10000 if role == "client" else 0) + n))
            self.devices[ident] = d
        d.name, d.public_key = name, public_key
        self.save()
        return d

    def grant(self, client, gateway, resource, expires_at):
        for g in self.grants.values():
            if (g.client_id, g.gateway_id, g.resource_id) == (client.id, gateway.id, resource.id):
                g.expires_at = expires_at
                break
        else:
            g = Grant(str(uuid.uuid4()), client.id, gateway.id, resource.id, expires_at)
            self.grants[g.id] = g
        self.save()
        return g

    def live_grants(self, **match):
        now = time.time()
        for ident in [i for i, g in self.grants.items() if g.expires_at <= now]:
            del self.grants[ident]
        return [g for g in self.grants.values() if all(getattr(g, k) == v for k, v in match.items())]

    def save(self):
        if not self.state_path:
            return
        state = {"signed_in": self.signed_in, "devices": [dataclasses.asdict(d) for d in self.devices.values()],
                 "grants": [dataclasses.asdict(g) for g in self.grants.values()]}
        tmp = f"{self.state_path}.new"
        with open(tmp, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            json.dump(state, f, indent=1)
        os.replace(tmp, self.state_path)

    def _load(self):
        if not self.state_path or not os.path.exists(self.state_path):
            return
        with open(self.state_path) as f:
            state = json.load(f)
        for digest, (slug, key, expires_at) in state["signed_in"].items():
            account = self.accounts.get(slug)
            if account and key in account.actors:
                self.signed_in[digest] = [slug, key, expires_at]
                self.tokens[digest] = Token("client", account, actor=account.actors[key], expires_at=expires_at)
        self.devices = {d["id"]: Device(**d) for d in state["devices"]}
        self.grants = {g["id"]: Grant(**g) for g in state["grants"]}
