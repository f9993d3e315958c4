"""The OpenAPI description, without a running service."""

import msgspec

from inbox.entrypoints.http.openapi import describe
from inbox.main.app import routes
from inbox.main.settings import Settings


def description() -> str:
    """The description as JSON, sorted, so that a change shows as a change."""
    schema = msgspec.json.encode(describe(routes(Settings())), order="sorted")
    return msgspec.json.format(schema, indent=2).decode()
