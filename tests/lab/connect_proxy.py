#!/usr/bin/python3
"""A web proxy that only knows CONNECT: connect_proxy.py PORT [USER:PASSWORD].

Says a line for each request: the target and the status that was answered.
"""
import asyncio
import base64
import sys

HEAD_MAX = 16384


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def refusal(method, headers, userinfo):
    if method != "CONNECT":
        return "405 Method Not Allowed"
    want = "Basic " + base64.b64encode(userinfo.encode()).decode() if userinfo else None
    if want and headers.get("proxy-authorization") != want:
        return "407 Proxy Authentication Required"
    return None


async def serve(reader, writer, userinfo):
    try:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
        status, far = refusal(method, headers, userinfo), None
        if not status:
            host, _, port = target.rpartition(":")
            try:
                far = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), int(port)), 10)
            except (OSError, asyncio.TimeoutError):
                status = "502 Bad Gateway"
        print(target, status or "200", flush=True)
        writer.write(f"HTTP/1.1 {status or '200 Connection established'}\r\n\r\n".encode())
        await writer.drain()
        if far:
            await asyncio.gather(pump(reader, far[1]), pump(far[0], writer))
    except (ValueError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
        pass
    finally:
        writer.close()


async def main():
    userinfo = sys.argv[2] if len(sys.argv) > 2 else None
    server = await asyncio.start_server(lambda r, w: serve(r, w, userinfo), None, int(sys.argv[1]), limit=HEAD_MAX)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
