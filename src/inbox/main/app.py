"""The web application: routes, error table, CORS, and the container behind them."""

from functools import partial
from typing import Final

from dishka import AsyncContainer
from dishka.integrations.litestar import inject, setup_dishka
from litestar import Litestar, Router, get
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.types import ControllerRouterHandler, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from inbox.entrypoints.http import bodies, middleware, openapi, problems
from inbox.entrypoints.http.accounts import accounts_router
from inbox.entrypoints.http.admin import admin_router
from inbox.entrypoints.http.admin_monitoring import admin_monitoring_router
from inbox.entrypoints.http.admin_paces import admin_paces_router
from inbox.entrypoints.http.api_keys import api_keys_router
from inbox.entrypoints.http.audit import audit_router
from inbox.entrypoints.http.auth import auth_router
from inbox.entrypoints.http.bot_profiles import bot_profiles_router
from inbox.entrypoints.http.contacts import contacts_router
from inbox.entrypoints.http.conversation_bot import conversation_bot_router
from inbox.entrypoints.http.conversations import conversations_router
from inbox.entrypoints.http.copilot import copilot_router
from inbox.entrypoints.http.decisions import decisions_router
from inbox.entrypoints.http.deliveries import deliveries_router
from inbox.entrypoints.http.events import events_router
from inbox.entrypoints.http.events_socket import hold_socket
from inbox.entrypoints.http.invitations import invitations_router
from inbox.entrypoints.http.knowledge import knowledge_router
from inbox.entrypoints.http.media import media_router
from inbox.entrypoints.http.messages import messages_router
from inbox.entrypoints.http.monitoring import metrics_page, monitoring_router
from inbox.entrypoints.http.notices import notices_router
from inbox.entrypoints.http.presence import presence_router
from inbox.entrypoints.http.reactions import reactions_router
from inbox.entrypoints.http.realtime import hold_realtime
from inbox.entrypoints.http.scheduled import scheduled_router
from inbox.entrypoints.http.shortcuts import shortcuts_router
from inbox.entrypoints.http.sign_in import sign_in_router
from inbox.entrypoints.http.template_shortcuts import template_shortcuts_router
from inbox.entrypoints.http.templates import templates_router
from inbox.entrypoints.http.uploads import uploads_router
from inbox.entrypoints.http.webhook import PATH, webhook_router
from inbox.entrypoints.http.webhook_door import WebhookDoor
from inbox.entrypoints.web.docs import docs_router
from inbox.entrypoints.web.set_password import set_password_router
from inbox.kit.client_address import networks
from inbox.kit.telemetry import Metrics
from inbox.main.settings import Settings

_MAX_BODY: Final = 1024 * 1024
_ACCEPTED_HEADERS: Final = (
    "accept",
    "apikey",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "prefer",
    "x-client-info",
    "x-request-id",
    "x-supabase-api-version",
)
_EXPOSED_HEADERS: Final = (
    "content-disposition",
    "etag",
    "link",
    "retry-after",
    "x-next-cursor",
    "x-request-id",
    "x-supabase-api-version",  # supabase-js reads the shape of errors from it
)


class Application(Litestar):
    """The framework behind the door: what is answered there does not come this far."""

    door: WebhookDoor

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        await self.door(scope, receive, send)  # type: ignore[arg-type]  # the door passes on what is no request


def create_app(settings: Settings, container: AsyncContainer, metrics: Metrics) -> Application:
    """The application over a built container, which it does not close."""
    app = Application(
        route_handlers=create_routes(settings),
        guards=[middleware.authenticate],
        dependencies={"actor": Provide(middleware.signed_in)},
        exception_handlers=problems.HANDLERS,
        middleware=[
            middleware.behind(networks(settings.http.trusted_proxies)),
            middleware.measured(metrics, settings.http.api_prefix),
        ],
        before_request=bodies.check,
        before_send=[middleware.add_headers, middleware.tell_strays],
        cors_config=_cors(settings),
        openapi_config=None,
        request_max_body_size=_MAX_BODY,
        logging_config=None,
    )
    setup_dishka(container, app)
    paths = {PATH, f"{settings.http.api_prefix}{PATH}"}
    framework = partial(Litestar.__call__, app)
    app.door = WebhookDoor(
        framework,
        container,
        metrics,
        paths=paths,
        max_bytes=settings.http.max_webhook_bytes,
    )
    return app


def create_monitoring_app(settings: Settings, container: AsyncContainer, metrics: Metrics) -> Litestar:
    """Health and metrics, on a port of their own."""
    app = Litestar(
        route_handlers=[monitoring_router, *_metrics(settings)],
        exception_handlers=problems.HANDLERS,
        middleware=[middleware.measured(metrics)],
        before_send=[middleware.add_headers, middleware.tell_strays],
        openapi_config=None,
        logging_config=None,
    )
    setup_dishka(container, app)
    return app


def create_routes(settings: Settings) -> list[ControllerRouterHandler]:
    """Every route, and all of them once more below the prefix: proxies that strip it and others both work."""
    handlers = [*routes(settings), hold_socket, hold_realtime, *_pages(settings)]
    if not settings.http.api_prefix:
        return handlers
    return [*handlers, Router(settings.http.api_prefix, route_handlers=handlers, include_in_schema=False)]


def routes(settings: Settings) -> list[ControllerRouterHandler]:
    """The REST API, as it is described."""
    return [
        webhook_router(settings.http.max_webhook_bytes),
        auth_router,
        accounts_router,
        admin_router,
        conversations_router,
        conversation_bot_router,
        copilot_router,
        messages_router,
        reactions_router,
        decisions_router,
        shortcuts_router,
        template_shortcuts_router,
        templates_router,
        scheduled_router,
        media_router,
        uploads_router,
        contacts_router,
        bot_profiles_router,
        knowledge_router,
        monitoring_router,
        *([sign_in_router, invitations_router] if _has_local_accounts(settings) else []),
        api_keys_router,
        audit_router,
        notices_router,
        admin_monitoring_router,
        admin_paces_router,
        deliveries_router,
        events_router,
        presence_router,
    ]


def _pages(settings: Settings) -> list[ControllerRouterHandler]:
    """What is there for people and for Prometheus, and is not part of the API.

    The port of the API is public: metrics are there for who has the token.
    """
    pages = _metrics(settings) if settings.metrics.auth_token and not settings.metrics.port else []
    if _has_local_accounts(settings):
        pages.append(set_password_router)
    if settings.http.docs:
        pages += [openapi.description_route(routes(settings)), docs_router]
    return pages


def _has_local_accounts(settings: Settings) -> bool:
    """With Supabase Auth nobody signs in, is invited or forgets a password here."""
    return settings.supabase.url is None


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
