"""What can be wrong with a connection to the feed of events. Kinds and codes mean what `inbox.domain.errors` says."""

from inbox.domain.errors import InboxError, Kind


class CursorExpired(InboxError):
    """It is older than the log, of another database, or none of ours: what it stands for must be read anew."""

    kind = Kind.GONE
    code = "cursor_expired"


class TooManyConnections(InboxError):
    """A person, or all together, hold as many connections as are allowed."""

    kind = Kind.THROTTLED
    code = "too_many_connections"


class OriginRefused(InboxError):
    """A page of another site tries to connect in a visitor's name."""

    kind = Kind.FORBIDDEN
    code = "origin_not_allowed"
