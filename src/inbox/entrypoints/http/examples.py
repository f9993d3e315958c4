"""One example for each body of the REST API, by operation.

All values are invented; a test holds them to their shapes.
"""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_admin import ADMIN
from inbox.entrypoints.http.examples_copilot import COPILOT
from inbox.entrypoints.http.examples_deliveries import DELIVERIES
from inbox.entrypoints.http.examples_events import EVENTS
from inbox.entrypoints.http.examples_inbox import INBOX
from inbox.entrypoints.http.examples_knowledge import KNOWLEDGE
from inbox.entrypoints.http.examples_service import SERVICE
from inbox.entrypoints.http.examples_templates import TEMPLATES
from inbox.entrypoints.http.examples_values import Example

EXAMPLES: Final[Mapping[str, Example]] = {
    **INBOX,
    **COPILOT,
    **ADMIN,
    **SERVICE,
    **DELIVERIES,
    **TEMPLATES,
    **KNOWLEDGE,
    **EVENTS,
}
