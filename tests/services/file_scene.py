"""Files that a message of ours shows, in tests of services."""

from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.messaging.fake_uploads import FakeUploader
from inbox.domain.clock import Clock
from inbox.ports.database import Database
from inbox.services.handing_over import HandingOver


def no_files(database: Database, clock: Clock) -> HandingOver:
    """For messages without any."""
    return HandingOver(database, FakeUploader(), MemoryMediaStore(), clock)
