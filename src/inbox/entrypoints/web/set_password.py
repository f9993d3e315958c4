"""The page behind a one-time link: a person sets their password. Three files, nothing from elsewhere.

The page speaks to `/auth/v1` next to it, so it works under a prefix and behind proxies that strip one.
"""

from importlib import resources
from typing import Final

from litestar import MediaType, Response, Router, get

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def _file(name: str, media_type: str) -> Response[bytes]:
    content = resources.files("inbox.entrypoints.web").joinpath(name).read_bytes()
    headers = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
    return Response(content, media_type=media_type, headers=headers)


@get("/auth/set-password", permission=None, sync_to_thread=True)
def page() -> Response[bytes]:
    """Asks for a new password. The link's token stands after the # and never gets here."""
    return _file("set-password.html", MediaType.HTML)


@get("/auth/set-password.js", permission=None, sync_to_thread=True)
def script() -> Response[bytes]:
    """What the page does."""
    return _file("set-password.js", "text/javascript")


@get("/auth/set-password.css", permission=None, sync_to_thread=True)
def style() -> Response[bytes]:
    """What the page looks like."""
    return _file("set-password.css", MediaType.CSS)


set_password_router = Router("/", route_handlers=[page, script, style], include_in_schema=False)
