#!/usr/bin/env python3
"""A relay that means harm: answers what it is asked with changed, cut and foreign messages, and sends unasked ones to everybody.

Usage: lying_relay.py ADDRESS SEED COUNT TARGET:PORT...  Says how many datagrams it received when it has sent COUNT.
"""
import random
import select
import socket
import struct
import sys

COOKIE = 0x2112A442


def stun(rng, heard):
    """A message that looks right, about something that was asked or not."""
    kind = rng.choice([0x0001, 0x0101, 0x0111, 0x0103, 0x0113, 0x0104, 0x0109, 0x0119, 0x0011, 0x0017])
    transaction = rng.choice(heard)[8:20] if heard and rng.random() < 0.7 else rng.randbytes(12)
    body = b""
    for _ in range(rng.randrange(4)):
        value = rng.randbytes(rng.choice([0, 4, 8, 8, 8, 20, 33]))
        body += struct.pack("!HH", rng.choice([0x0001, 0x0006, 0x0008, 0x0009, 0x000D, 0x0014, 0x0015, 0x0016, 0x0020,
                                               0x0024, 0x0025, 0x8028, 0x802A]), len(value))
        body += value + bytes(-len(value) % 4)
    return struct.pack("!HHI", kind, len(body), COOKIE) + transaction + body


def channel_data(rng, _heard):
    inner = rng.choice([rng.randbytes(rng.randrange(64)), struct.pack("<I", rng.randrange(1, 5)) + rng.randbytes(144),
                        struct.pack("<I", 4) + rng.randbytes(rng.randrange(28, 200))])
    length = rng.choice([len(inner), len(inner) + 1, 0, 0xFFFF])
    return struct.pack("!HH", 0x4000 + rng.randrange(4), length) + inner


def wireguard(rng, _heard):
    return struct.pack("<I", rng.randrange(1, 5)) + rng.randbytes(rng.choice([0, 12, 60, 88, 144, 200]))


def changed(rng, heard):
    """What it was told itself, with a bit flipped or cut short."""
    message = bytearray(rng.choice(heard)) if heard else bytearray(rng.randbytes(20))
    message[rng.randrange(len(message))] ^= 1 << rng.randrange(8)
    return bytes(message[:rng.randrange(len(message) + 1)])


def main():
    address, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    targets = [(t.rsplit(":", 1)[0], int(t.rsplit(":", 1)[1])) for t in sys.argv[4:]]
    rng, heard, n_heard = random.Random(seed), [], 0
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 3478))
    for i in range(count):
        # Sixteen at a time, then a little rest, for the receivers to keep up.
        while select.select([s], [], [], 0.001 if i % 16 == 0 else 0)[0]:
            message, _ = s.recvfrom(2048)
            n_heard += 1
            heard = (heard + [message])[-8:]
        s.sendto(rng.choice([stun, channel_data, wireguard, changed])(rng, heard), rng.choice(targets))
    print(n_heard, flush=True)


if __name__ == "__main__":
    main()
