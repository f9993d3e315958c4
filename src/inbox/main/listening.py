"""The ports of this process: whether they are free, and whether they answer."""

import asyncio
import socket
from typing import Final

from inbox.main.settings import SettingsError

_ANSWERS_WITHIN: Final = 10.0
_LOOK_EVERY: Final = 0.01
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def free_address(host: str, port: int) -> str:
    """The number of `host`, after a look whether `port` can be had there. Raises `SettingsError` if not.

    granian takes numbers only, and shares a port that another process listens on (SO_REUSEPORT): two services would
    answer in turn.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another with the options of this "
            "command, or INBOX_HTTP_HOST and INBOX_HTTP_PORT."
        ) from None
    return str(address[0])


async def answering(address: str, port: int, server: asyncio.Task[None]) -> None:
    """Returns when the port answers; raises what the server raised."""
    async with asyncio.timeout(_ANSWERS_WITHIN):
        while True:
            if server.done():
                await server
                raise SettingsError(f"The server on port {port} ended at once.")
            try:
                _, writer = await asyncio.open_connection(_EVERYWHERE.get(address, address), port)
            except OSError:
                await asyncio.sleep(_LOOK_EVERY)
                continue
            writer.close()
            return
