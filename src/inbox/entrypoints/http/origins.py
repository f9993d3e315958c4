"""Which pages may connect. Browsers send the page's origin with every WebSocket, and ask nobody before."""

from collections.abc import Sequence
from typing import Any, NewType
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

from inbox.domain.feed_errors import OriginRefused

Origins = NewType("Origins", tuple[str, ...])
"""Those of the front ends, as configured for CORS."""


def require_own_page(connection: ASGIConnection[Any, Any, Any, Any], allowed: Sequence[str]) -> None:
    """Raises `OriginRefused` for a page of another site. Programs send no origin and are no page."""
    given = connection.headers.getall("origin", [])
    if not given:
        return
    host = connection.headers.get("host", "")
    if len(given) == 1 and (given[0] in allowed or _host(given[0]) == host.lower()):
        return
    raise OriginRefused


def _host(origin: str) -> str | None:
    """With its port, if it is not the usual one; None for `null` and what is no origin."""
    try:
        found = urlsplit(origin)
    except ValueError:
        return None
    return found.netloc.lower() or None
