#!/usr/bin/env python3
"""Writes handshake.h: WireGuard handshakes with fixed keys, computed from the whitepaper's formulas (5.4) by Python's
hashlib and cryptography alone, so that the C code is compared with something it has not written itself."""
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def HASH(m):
    return hashlib.blake2s(m).digest()


def MAC(k, m):
    return hashlib.blake2s(m, key=k, digest_size=16).digest()


def HMAC(k, m):
    return hmac.new(k, m, hashlib.blake2s).digest()


def KDF(n, ck, m):
    t0, out, last = HMAC(ck, m), [], b""
    for i in range(n):
        last = HMAC(t0, last + bytes([i + 1]))
        out.append(last)
    return out


def AEAD(k, n, m, aad):
    return ChaCha20Poly1305(k).encrypt(bytes(4) + struct.pack("<Q", n), m, aad or None)


def PUB(priv):
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return X25519PrivateKey.from_private_bytes(priv).public_key().public_bytes(*raw)


def DH(priv, pub):
    return X25519PrivateKey.from_private_bytes(priv).exchange(X25519PublicKey.from_public_bytes(pub))


def TAI64N(ns):
    return struct.pack(">QI", 0x400000000000000A + ns // 10**9, ns % 10**9 & ~0xFFFFFF)


def macs(msg, responder_pub, cookie):
    m1 = MAC(HASH(b"mac1----" + responder_pub), msg)
    return msg + m1 + (MAC(cookie, msg + m1) if cookie else bytes(16))


def handshake(si, sr, ei, er, psk, wall, index_i, index_r, cookie):
    ck = HASH(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
    h = HASH(HASH(ck + b"WireGuard v1 zx2c4 Jason@zx2c4.com") + PUB(sr))
    h = HASH(h + PUB(ei))
    (ck,) = KDF(1, ck, PUB(ei))
    ck, k = KDF(2, ck, DH(ei, PUB(sr)))
    static = AEAD(k, 0, PUB(si), h)
    h = HASH(h + static)
    ck, k = KDF(2, ck, DH(si, PUB(sr)))
    stamp = AEAD(k, 0, TAI64N(wall), h)
    h = HASH(h + stamp)
    init = macs(struct.pack("<II", 1, index_i) + PUB(ei) + static + stamp, PUB(sr), cookie)
    h = HASH(h + PUB(er))
    (ck,) = KDF(1, ck, PUB(er))
    (ck,) = KDF(1, ck, DH(er, PUB(ei)))
    (ck,) = KDF(1, ck, DH(er, PUB(si)))
    ck, tau, k = KDF(3, ck, psk)
    h = HASH(h + tau)
    nothing = AEAD(k, 0, b"", h)
    resp = macs(struct.pack("<III", 2, index_r, index_i) + PUB(er) + nothing, PUB(si), None)
    send, receive = KDF(2, ck, b"")
    data = struct.pack("<IIQ", 4, index_r, 0) + AEAD(send, 0, b"", None)
    return init, resp, send, receive, data


def main():
    cases = []
    for name, psk, cookie in (("plain", bytes(32), None), ("psk and cookie", bytes(range(32, 64)), bytes(range(16)))):
        si, sr, ei, er = (HASH(w + name.encode()) for w in (b"initiator ", b"responder ", b"first ", b"second "))
        wall, ii, ir = 1_790_000_123_987_654_321, 0x11223344, 0xA1B2C3D4
        out = handshake(si, sr, ei, er, psk, wall, ii, ir, cookie)
        cases.append((name, si, sr, ei, er, psk, cookie or b"", wall, ii, ir) + out)
    fields = ("initiator", "responder", "ephemeral_i", "ephemeral_r", "psk", "cookie")
    results = ("initiation", "response", "key_i", "key_r", "keepalive")
    with open(__file__.removesuffix(".py") + ".h", "w") as f:
        f.write("/* Written by handshake.py, which has the formulas. Hex texts. */\n#pragma once\n\n#include <stdint.h>\n\n")
        f.write("static const struct handshake_vector {\n\tconst char *name;\n")
        f.write("".join(f"\tconst char *{x};\n" for x in fields))
        f.write("\tint64_t wall_ns;\n\tuint32_t index_i, index_r;\n")
        f.write("".join(f"\tconst char *{x};\n" for x in results) + "} handshake_vectors[] = {\n")
        for c in cases:
            f.write(f'\t{{\n\t\t.name = "{c[0]}",\n')
            f.write("".join(f'\t\t.{n} = "{v.hex()}",\n' for n, v in zip(fields, c[1:7])))
            f.write(f"\t\t.wall_ns = INT64_C({c[7]}),\n\t\t.index_i = {c[8]:#x}u,\n\t\t.index_r = {c[9]:#x}u,\n")
            for n, v in zip(results, c[10:]):
                t = v.hex()
                parts = "\n\t\t\t".join(f'"{t[i:i + 64]}"' for i in range(0, len(t), 64))
                f.write(f"\t\t.{n} = {parts},\n")
            f.write("\t},\n")
        f.write("};\n")


if __name__ == "__main__":
    main()
