"""A whole worker on a real PostgreSQL, with the vendors faked."""

from services.conftest import account, assistant, clock, sender, signals

__all__ = ["account", "assistant", "clock", "sender", "signals"]
