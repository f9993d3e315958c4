"""Wiring of what front ends hear at once."""

from importlib.metadata import version

from dishka import Provider, Scope, provide

from inbox.entrypoints.connections import ConnectionLimits, Connections
from inbox.entrypoints.feed import Feed
from inbox.entrypoints.http.origins import Origins
from inbox.entrypoints.http.unchanged import Validators
from inbox.entrypoints.listeners import FeedLimits
from inbox.kit.telemetry import Metrics
from inbox.main.runtime import Runtime
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.services.presence import Colleagues
from inbox.services.rights import Rights
from inbox.services.tickets import EventTickets


class Telling(Provider):
    """The feed is started with the web side, in `main/serve.py`."""

    scope = Scope.APP
    tickets = provide(EventTickets)
    connections = provide(Connections)

    @provide
    def connection_limits(self) -> ConnectionLimits:
        return ConnectionLimits()

    @provide
    def feed(
        self, runtime: Runtime, database: Database, events: Events, colleagues: Colleagues, metrics: Metrics
    ) -> Feed:
        settings = runtime.settings.feed
        limits = FeedLimits(connections=settings.connections, per_user=settings.per_user, lifetime=settings.lifetime)
        feed = Feed(database, events, colleagues, limits)
        metrics.gauges.feed = lambda: feed.state
        return feed

    @provide
    def colleagues(self, rights: Rights, events: Events) -> Colleagues:
        return Colleagues(rights, events)

    @provide
    def origins(self, runtime: Runtime) -> Origins:
        return Origins(runtime.settings.http.cors_origins)

    @provide
    def validators(self, feed: Feed) -> Validators:
        return Validators(feed, version("whatsapp-inbox"))
