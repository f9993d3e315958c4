"""What people of the team do in a conversation at this moment. Known for some seconds, never stored."""

from enum import StrEnum
from typing import Final


class Presence(StrEnum):
    VIEWING = "viewing"
    TYPING = "typing"
    LEFT = "left"


GOOD_FOR: Final = {Presence.VIEWING: 45.0, Presence.TYPING: 8.0, Presence.LEFT: 0.0}
"""Seconds after which nobody believes it any more: front ends say it again before that."""
