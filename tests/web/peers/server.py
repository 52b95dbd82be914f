"""A WebSocket server that relays each client to a TCP port.

    server.py PORT TARGET_PORT

The library compresses messages if the client offers it. The server sends a Ping every 0.2 s.
"""

import asyncio
import sys

import websockets


async def to_target(client, writer):
    async for message in client:
        writer.write(message if isinstance(message, bytes) else message.encode())
        await writer.drain()


async def to_client(client, reader):
    while data := await reader.read(65536):
        await client.send(data)


async def relay(client):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    tasks = [asyncio.ensure_future(to_target(client, writer)), asyncio.ensure_future(to_client(client, reader))]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await client.close()
    writer.close()


async def main():
    async with websockets.serve(relay, "127.0.0.1", int(sys.argv[1]), ping_interval=0.2, max_size=None):
        await asyncio.Future()


asyncio.run(main())
