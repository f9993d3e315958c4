"""The start-up check of the send fence.

The hooks that run the fence belong to other people's libraries, and a message sent without its fence may be sent twice.
So the process proves on a loopback socket of its own, with the versions that are installed, that a refusing fence sends
no byte, before it sends anything.
"""

import asyncio

from inbox.kit.http import ApiClient

_DEADLINE = 5.0


class _Refused(Exception):
    pass


async def check_fence(client: ApiClient) -> None:
    """Raise RuntimeError unless fences hold, on new and kept connections, for the transport that `client` uses."""
    received: list[bytes] = []
    runs: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65536):
            received.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def refuse() -> None:
        runs.append("refused")
        raise _Refused

    async def allow() -> None:
        runs.append("allowed")

    async with asyncio.timeout(_DEADLINE), await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        probe = client.pointed_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            for fence in (refuse, allow, refuse, allow):
                try:
                    await probe.call("POST", "/fence", content=b"{}", fence=fence)
                except _Refused:
                    continue
        finally:
            await probe.aclose()
    requests = b"".join(received).count(b"POST /fence")
    if runs != ["refused", "allowed", "refused", "allowed"] or requests != runs.count("allowed"):
        raise RuntimeError(f"the send fence does not hold: it ran {runs}, and the peer got {requests} requests")
