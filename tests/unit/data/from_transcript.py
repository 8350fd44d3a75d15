#!/usr/bin/env python3
"""Makes a test's recording of a transcript: from_transcript.py TRANSCRIPT.jsonl >portal-NAME.txt

One line an entry, of clients and gateways alone: seconds, role, connection, what, the rest of the line:

    path    the upgrade request's target                    say     a text frame of the device
    status  the portal's refusal: status, code              hear    a text frame of the portal, well-formed or not
    closed  the code the portal saw                         note    (of role -) what the run did next

Texts are as they went over the wire. What is left out: upgrade headers, relays, and all but the head of the tokens for flow logs.
"""
import json
import re
import sys

TOKEN = re.compile(r"(eyJ[\w-]+)\.[\w-]+\.[\w-]+")


def text_of(value):
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return TOKEN.sub(r"\1.e30.AA", text)


def main():
    for line in open(sys.argv[1]):
        entry = json.loads(line)
        role, out = entry.get("role", "-"), None
        if role == "relay":
            continue
        by_portal = entry.get("dir", "").startswith("portal")
        if "note" in entry:
            out = "note", entry["note"]
        elif "http" in entry and by_portal:
            out = "status", f"{entry['http']['status']} {entry['http']['body']['code']}"
        elif "http" in entry:
            out = "path", entry["http"]["path"]
        elif "closed" in entry:
            out = "closed", str(entry["closed"]["code"])
        elif "raw" in entry:
            out = "hear", text_of(entry["raw"])
        else:
            out = "hear" if by_portal else "say", text_of(entry["msg"])
        if "\n" in out[1]:
            raise SystemExit(f"a line break in {out}")
        print(entry["t"], role, entry.get("conn", "-"), *out)


if __name__ == "__main__":
    main()
