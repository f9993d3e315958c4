"""Which contacts screens show otherwise than before a transaction, and what is told of them."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row

from inbox.domain.events import ContactStep, ContactUpdated
from inbox.domain.ids import ContactId


class ContactNews(msgspec.Struct, kw_only=True):
    """One event for each contact. `renamed` have another name or number: their conversations show it."""

    told: dict[UUID, ContactUpdated] = {}
    renamed: set[UUID] = set()

    def created(self, contacts: Iterable[UUID]) -> None:
        for one in contacts:
            self._tell(one, ContactStep.CREATED)

    def heard(self, rows: Iterable[Row[Any]]) -> None:
        """`rows` say of stored contacts whether they are shown from now on (`is_new`) and have another name."""
        for row in rows:
            if row.is_new:
                self.created([row.id])
            if row.is_renamed:
                self.changed([row.id])

    def changed(self, contacts: Iterable[UUID]) -> None:
        for one in contacts:
            self.renamed.add(one)
            if one not in self.told:
                self._tell(one, ContactStep.CHANGED)

    def merged(self, winners: Mapping[UUID, UUID]) -> None:
        """Each key is part of its value now."""
        for loser, winner in winners.items():
            self._tell(loser, ContactStep.MERGED, into=winner)
            self.changed([winner])

    def add(self, later: "ContactNews") -> None:
        for one, event in later.told.items():
            if event.change is not ContactStep.CHANGED or one not in self.told:
                self.told[one] = event
        self.renamed |= later.renamed

    def _tell(self, contact: UUID, step: ContactStep, into: UUID | None = None) -> None:
        whose = None if into is None else ContactId(into)
        self.told[contact] = ContactUpdated(contact_id=ContactId(contact), change=step, into=whose)
