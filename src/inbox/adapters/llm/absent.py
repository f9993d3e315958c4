"""No model is configured: every turn goes to a person, with that as its reason."""

from typing import NoReturn

import msgspec

from inbox.domain.upstream_errors import ModelRefused
from inbox.ports.llm import Prompt


class NoAssistant:
    """Refuses to answer."""

    async def complete(self, prompt: Prompt, *, schema: type[msgspec.Struct]) -> NoReturn:  # noqa: ARG002
        raise ModelRefused("No language model is configured: see INBOX_LLM_VENDOR.")

    def reads(self, mime_type: str) -> bool:  # noqa: ARG002
        return False

    async def probe(self) -> bool:
        return False
