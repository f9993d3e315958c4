"""No model is configured: every turn goes to a person, with that as its reason."""

from typing import NoReturn

import msgspec

from inbox.domain.upstream_errors import ModelRefused
from inbox.ports.llm import Meter, Prompt


class NoAssistant:
    """Refuses to answer."""

    async def complete(
        self,
        prompt: Prompt,  # noqa: ARG002
        *,
        schema: type[msgspec.Struct],  # noqa: ARG002
        meter: Meter | None = None,  # noqa: ARG002
    ) -> NoReturn:
        raise ModelRefused("No language model is configured: see INBOX_LLM_VENDOR.")

    def reads(self, mime_type: str) -> bool:  # noqa: ARG002
        return False

    async def knows(self, model: str) -> None:
        """Nobody is there to ask."""

    async def probe(self) -> bool:
        return False
