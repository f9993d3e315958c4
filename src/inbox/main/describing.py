"""The OpenAPI description, without a running service."""

import msgspec
from dishka import make_async_container

from inbox.kit.telemetry import Metrics
from inbox.main.app import create_app
from inbox.main.settings import Settings


def description() -> str:
    """The description as JSON, sorted, so that a change shows as a change."""
    app = create_app(Settings(), make_async_container(), Metrics())
    schema = msgspec.json.encode(app.openapi_schema.to_schema(), order="sorted")
    return msgspec.json.format(schema, indent=2).decode()
