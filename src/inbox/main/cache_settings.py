"""What an address of a Redis looks like."""

import re
from typing import Final, Protocol

_REDIS_URL: Final = re.compile(
    r"rediss?://([^\s@/?#]*@)?(\[[0-9a-fA-F:.]+\]|[^\s:@/?#]+)(:\d{1,5})?(/\d{1,3})?(\?[^\s#]*)?"
    r"|unix://([^\s@/?#]*@)?/[^\s?#]+(\?[^\s#]*)?"
)


class _Hidden(Protocol):
    def reveal(self) -> str: ...


def redis_problem(url: _Hidden | None) -> str | None:
    """What is wrong with the setting, in words without its value; None if nothing is."""
    if url is None or _REDIS_URL.fullmatch(url.reveal()):
        return None
    return (
        "INBOX_CACHE_REDIS_URL, setting cache.redis_url: must look like rediss://user:password@host:6379/0, "
        "redis:// without TLS, or unix:///path, with special characters of the password percent-encoded."
    )
