#!/usr/bin/env python3
"""Makes stun-recorded.txt of a directory of transcripts and captures: from_captures.py DIR >stun-recorded.txt

Every STUN and TURN message of the captures once, those inside of channel data, too, each with the key of its signature, which must
be one that the run's transcript names.
"""
import glob
import hashlib
import hmac
import json
import os
import re
import struct
import sys

COOKIE = b"\x21\x12\xa4\x42"
INTEGRITY = 0x0008


def datagrams(path):
    with open(path, "rb") as f:
        data = f.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    head = {1: 14, 101: 0, 113: 16}[struct.unpack(order + "I", data[20:24])[0]]
    at = 24
    while at < len(data):
        n = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        ip = data[at + 16 + head:at + 16 + n]
        at += 16 + n
        udp = ip[(ip[0] & 15) * 4:]
        yield udp[8:struct.unpack(">H", udp[4:6])[0]]


def messages(path):
    for data in datagrams(path):
        if 0x40 <= data[0] < 0x50:
            data = data[4:4 + struct.unpack(">H", data[2:4])[0]]
        if len(data) >= 20 and data[0] < 4 and data[4:8] == COOKIE:
            yield data


def signature(message):
    """Where it begins; None: not signed."""
    at = 20
    while at < len(message):
        kind, n = struct.unpack(">HH", message[at:at + 4])
        if kind == INTEGRITY:
            return at
        at += 4 + n + -n % 4
    return None


def is_signed(message, at, key):
    covered = message[:2] + struct.pack(">H", at + 24 - 20) + message[4:at]
    return hmac.new(key, covered, hashlib.sha1).digest() == message[at + 4:at + 24]


def keys_of(path):
    """Text for the test -> key."""
    found = {}
    text = open(path).read()
    for username, password in set(re.findall(r'"username": "([^"]+)", "password": "([^"]+)"', text)):
        if ":" in username:
            found[f"{username}|{password}"] = hashlib.md5(f"{username}:firezone:{password}".encode()).digest()
        else:
            found[password] = password.encode()
    return found


def main():
    known, keys, lines = set(), ["-"], []
    for transcript in sorted(glob.glob(os.path.join(sys.argv[1], "*.jsonl"))):
        candidates = keys_of(transcript)
        for capture in sorted(glob.glob(transcript.removesuffix(".jsonl") + "-*.pcap")):
            for message in messages(capture):
                if message in known:
                    continue
                known.add(message)
                at, key = signature(message), "-"
                if at is not None:
                    key = next(text for text, k in candidates.items() if is_signed(message, at, k))
                if key not in keys:
                    keys.append(key)
                lines.append(f"{keys.index(key)} {message.hex()}")
    print("# STUN and TURN messages recorded between Firezone's client, gateway and relay: number of the key, message.")
    print("# Keys: - (not signed), an ICE password, or username|password at a relay of realm firezone.")
    for number, key in enumerate(keys):
        print("key", number, key)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
