"""Pass connections on with a delay: `python -m tests.provision.lab.delay SECONDS ADDRESS ...`.

The nth address is reached at port 2000 + n of the loopback. The kernel of a lab may have no way to
delay packets itself.
"""

import asyncio
import sys

FIRST_PORT = 2000
_CHUNK_BYTES = 1 << 20


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float
) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(_CHUNK_BYTES):
        # As much as there is may be under way at a time.
        loop.call_later(delay_s, writer.write, data)
    loop.call_later(delay_s, writer.close)


async def _serve(delay_s: float, addresses: list[str]) -> None:
    def passer(address: str) -> "asyncio.streams._ClientConnectedCallback":
        async def on_connect(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
            await asyncio.sleep(2 * delay_s)  # TCP's own round trip.
            far, there = await asyncio.open_connection(address, 22)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_carry(near, there, delay_s))
                tasks.create_task(_carry(far, back, delay_s))

        return on_connect

    for number, address in enumerate(addresses):
        await asyncio.start_server(passer(address), "127.0.0.1", FIRST_PORT + number)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]), sys.argv[2:]))
