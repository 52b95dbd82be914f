"""A WebSocket client that relays standard input and output, for ssh's ProxyCommand.

    client.py URL [CA_FILE]
"""

import asyncio
import os
import ssl
import sys

import websockets


async def from_stdin(server):
    loop = asyncio.get_running_loop()
    while data := await loop.run_in_executor(None, os.read, 0, 65536):
        await server.send(data)


async def to_stdout(server):
    async for message in server:
        view = memoryview(message)
        while view:
            view = view[os.write(1, view):]


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2]) if len(sys.argv) > 2 else None
    async with websockets.connect(sys.argv[1], ssl=context, max_size=None) as server:
        asyncio.ensure_future(from_stdin(server))
        await to_stdout(server)
    # The thread that reads standard input would keep the process alive.
    os._exit(0)


asyncio.run(main())
