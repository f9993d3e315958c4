"""One set of certificates for all clients of a run: reading it takes longer than most of the tests."""

import ssl
from functools import cache


@cache
def certificates() -> ssl.SSLContext:
    return ssl.create_default_context()
