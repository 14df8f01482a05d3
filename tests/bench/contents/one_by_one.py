"""The peer: one HTTPS request for each file, by a connection that stays open; aiohttp on both ends.

`serve IDENTITY DIRECTORY` says its port; `get IDENTITY PORT STORE` reads lists of names, one list a
line, gets and keeps all of them, verified, and says how long that took.
"""

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path

from aiohttp import ClientSession, TCPConnector, web

from maelstrom.model.digest import Digest
from maelstrom.store.disk import DiskStore
from maelstrom.trust.identity import Role
from maelstrom.trust.tls import Tls


async def _serve(identity: str, directory: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        path = Path(directory) / request.match_info["path"]
        return web.Response(body=await asyncio.to_thread(path.read_bytes))

    server = web.Application()
    server.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    tls = Tls(Path(identity), [Role.BROKER])
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.listening)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def _get(identity: str, port: str, directory: str) -> None:
    context: ssl.SSLContext = Tls(Path(identity), [Role.WORKER]).connecting
    store = DiskStore(Path(directory), size_bytes_max=1 << 32)
    async with ClientSession(connector=TCPConnector(ssl=context, limit=1)) as session:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            begin = time.perf_counter()
            for name in json.loads(line):
                async with session.get(f"https://127.0.0.1:{port}/{name}") as answer:
                    content = await answer.read()
                store.put_bytes(Digest.of(content), content)
            print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    asyncio.run({"serve": _serve, "get": _get}[sys.argv[1]](*sys.argv[2:]))
