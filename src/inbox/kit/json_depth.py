"""How deep foreign JSON is nested, found without decoding it.

Decoders recurse: on Python 3.11 about 1,100 levels end in RecursionError, elsewhere the native stack may overflow.
"""

import re
from typing import Final

LIMIT: Final = 64

# An unfinished string runs to the end of the body. Possessive quantifiers keep the scan linear for every input.
_STRINGS: Final = re.compile(rb'"(?>[^"\\]+|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_OPENERS: Final = frozenset(b"[{")


def depth_exceeds(body: bytes, limit: int = LIMIT) -> bool:
    """True if arrays and objects are nested more than `limit` deep. Brackets inside strings do not count.

    Says nothing about validity: a malformed body gets the depth that its brackets reach.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for byte in _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS):
        if byte not in _OPENERS:
            depth -= 1
        elif (depth := depth + 1) > limit:
            return True
    return False
