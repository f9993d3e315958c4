"""The web application: routes, error table, CORS, and the container behind them."""

from importlib.metadata import version
from typing import Any, Final

from dishka import AsyncContainer
from dishka.integrations.litestar import inject, setup_dishka
from litestar import Litestar, Request, Router, get
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from inbox.entrypoints.http import middleware, problems
from inbox.entrypoints.http.accounts import accounts_router
from inbox.entrypoints.http.auth import auth_router
from inbox.entrypoints.http.conversations import conversations_router
from inbox.entrypoints.http.messages import messages_router
from inbox.entrypoints.http.monitoring import metrics_page, monitoring_router
from inbox.entrypoints.http.sign_in import sign_in_router
from inbox.entrypoints.http.webhook import webhook_router
from inbox.kit.telemetry import Metrics
from inbox.main.settings import Settings

_MAX_BODY: Final = 1024 * 1024
_ACCEPTED_HEADERS: Final = (
    "accept",
    "apikey",
    "authorization",
    "content-type",
    "idempotency-key",
    "prefer",
    "x-client-info",
    "x-request-id",
    "x-supabase-api-version",
)
_EXPOSED_HEADERS: Final = ("link", "x-next-cursor", "x-request-id", "retry-after", "content-disposition")


def create_app(settings: Settings, container: AsyncContainer, metrics: Metrics) -> Litestar:
    """The application over a built container, which it does not close."""
    app = Litestar(
        route_handlers=routes(settings),
        guards=[middleware.authenticate],
        dependencies={"actor": Provide(middleware.signed_in)},
        exception_handlers=problems.HANDLERS,
        middleware=[middleware.measured(metrics)],
        before_send=[middleware.add_headers],
        cors_config=_cors(settings),
        openapi_config=_openapi() if settings.http.docs else None,
        request_max_body_size=_MAX_BODY,
        logging_config=None,
    )
    setup_dishka(container, app)
    return app


def create_monitoring_app(settings: Settings, container: AsyncContainer) -> Litestar:
    """Health and metrics of a worker that runs apart."""
    app = Litestar(
        route_handlers=[monitoring_router, *_metrics(settings)],
        exception_handlers=problems.HANDLERS,
        before_send=[middleware.add_headers],
        openapi_config=None,
        logging_config=None,
    )
    setup_dishka(container, app)
    return app


def routes(settings: Settings) -> list[ControllerRouterHandler]:
    """Every route, and all of them once more below the prefix: proxies that strip it and others both work."""
    handlers: list[ControllerRouterHandler] = [
        webhook_router(settings.http.max_webhook_bytes),
        auth_router,
        accounts_router,
        conversations_router,
        messages_router,
        monitoring_router,
        sign_in_router,
        *_metrics(settings),
        *([openapi_json] if settings.http.docs else []),
    ]
    if not settings.http.api_prefix:
        return handlers
    return [*handlers, Router(settings.http.api_prefix, route_handlers=handlers, include_in_schema=False)]


@get("/openapi.json", permission=None, include_in_schema=False)
async def openapi_json(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The description where tools look for it first."""
    return request.app.openapi_schema.to_schema()


def _metrics(settings: Settings) -> list[ControllerRouterHandler]:
    if not settings.metrics.enabled:
        return []
    return [get(settings.metrics.path, permission=None, include_in_schema=False)(inject(metrics_page))]


def _cors(settings: Settings) -> CORSConfig:
    return CORSConfig(
        allow_origins=list(settings.http.cors_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=list(_ACCEPTED_HEADERS),
        expose_headers=list(_EXPOSED_HEADERS),
        allow_credentials=True,
    )


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    return OpenAPIConfig(
        title="WhatsApp Inbox",
        version=version("whatsapp-inbox"),
        description="A team inbox for the WhatsApp Business Cloud API. Errors are `application/problem+json`.",
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
        path="/docs",
        render_plugins=[SwaggerRenderPlugin(path="/"), JsonRenderPlugin(path="/openapi.json")],
    )
