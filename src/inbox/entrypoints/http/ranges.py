"""Parts of a file: the header `Range` (RFC 9110, section 14). One range of bytes, as players of sound and film ask."""

import re
from typing import Final

from litestar.exceptions import HTTPException

from inbox.ports.media import Span

_RANGE: Final = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


class NotSatisfiable(HTTPException):
    """416: nothing of the file lies in the range."""

    status_code = 416


def wanted(range_header: str | None, if_range: str | None, size: int, etag: str) -> Span | None:
    """The bytes to send of a file of `size` bytes; None is all of it, as for whatever is no single range of bytes.

    `if_range` names the file that the caller has a part of: a part of another one is of no use to them. Raises
    `NotSatisfiable`.
    """
    match = _RANGE.fullmatch(range_header or "")
    if match is None or not (match[1] or match[2]) or (if_range is not None and if_range.strip() != etag):
        return None
    if not match[1]:
        length = int(match[2])
        start, end = max(0, size - length), size if length else 0
    else:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or end <= start:
        raise NotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return Span(start, end)
