"""The description of the API as a page. Everything comes from this service: nothing is loaded from elsewhere.

The viewer, Swagger UI, is two files of the package `offapi`.
"""

from importlib import resources
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

from litestar import MediaType, Request, Response, Router, get

_SCRIPT: Final = "text/javascript"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' "
    "data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI writes styles into the page."""
_FOR_A_DAY: Final = "public, max-age=86400"


def _asset(content: bytes, media_type: str) -> Response[bytes]:
    return Response(content, media_type=media_type, headers={"cache-control": _FOR_A_DAY})


def _own(name: str) -> bytes:
    return resources.files("inbox.entrypoints.web").joinpath(name).read_bytes()


def _viewer(name: str) -> bytes:
    return Path(str(distribution("offapi").locate_file(f"offapi/{name}"))).read_bytes()


@get("/docs", permission=None, sync_to_thread=True)
def swagger_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Swagger UI. Below `/docs/` the relative addresses in the page would lead nowhere."""
    if request.scope["raw_path"].endswith(b"/"):  # `path` comes without it
        return Response(b"", status_code=307, headers={"location": "../docs"})
    headers = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
    return Response(_own("docs.html"), media_type=MediaType.HTML, headers=headers)


@get("/redoc", permission=None)
async def old_page() -> Response[None]:
    """The other page that the previous system had. The address is relative, so that it stays right behind a proxy."""
    return Response(None, status_code=307, headers={"location": "docs"})


@get("/docs/assets/start.js", permission=None, sync_to_thread=True)
def start() -> Response[bytes]:
    """Starts Swagger UI: the policy of the page forbids scripts inside it."""
    return _asset(_own("docs.js"), _SCRIPT)


@get("/docs/assets/swagger.js", permission=None, sync_to_thread=True)
def swagger_script() -> Response[bytes]:
    """Swagger UI itself."""
    return _asset(_viewer("swagger_bundle.js"), _SCRIPT)


@get("/docs/assets/swagger.css", permission=None, sync_to_thread=True)
def swagger_style() -> Response[bytes]:
    """What Swagger UI looks like."""
    return _asset(_viewer("swagger_style.css"), MediaType.CSS)


docs_router = Router(
    "/",
    route_handlers=[swagger_page, old_page, start, swagger_script, swagger_style],
    include_in_schema=False,
)
