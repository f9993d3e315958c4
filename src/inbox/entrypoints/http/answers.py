"""What several routes answer: that it is done, and one page of a list."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response

from inbox.kit.paging import encode_cursor, parse_time

Row = TypeVar("Row")


class Done(msgspec.Struct, frozen=True):
    """Of calls that have nothing else to say."""

    status: str = "ok"


def page(
    rows: Sequence[Row], size: int, place: Callable[[Row], tuple[str, UUID]], query: Mapping[str, str]
) -> Response[list[Row]]:
    """The first `size` of `rows`, newest first, and what leads to the next page if there are more than that.

    `place` is the time and the id of a row; `query` is what the request asked for beside the cursor.
    """
    shown, headers = list(rows[:size]), {}
    if len(rows) > size:
        at, row_id = place(shown[-1])
        headers = next_page(parse_time(at, name="at"), row_id, query, "cursor")
    return Response(shown, headers=headers)


def next_page(at: datetime, row_id: UUID, query: Mapping[str, str], name: str) -> dict[str, str]:
    """The headers that lead to the next page; the link is relative, so that it stays right behind a proxy."""
    cursor = encode_cursor(at, row_id)
    return {"X-Next-Cursor": cursor, "Link": f'<?{urlencode({**query, name: cursor})}>; rel="next"'}
