"""The reference of the fan-out: a ``websockets`` server that only broadcasts what it is told."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def _serve(port: int) -> None:
    listeners: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        if connection.request is not None and connection.request.path == "/go":
            async for text in connection:
                broadcast(listeners, text)
            return
        listeners.add(connection)
        await connection.wait_closed()
        listeners.discard(connection)

    async with serve(handle, "127.0.0.1", port, compression=None, ping_interval=None):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
