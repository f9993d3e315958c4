"""What customers are told about the reading and the writing of the team."""

from datetime import timedelta
from typing import Final

WHATSAPP_KNOWS: Final = timedelta(days=30)
"""Older messages cannot be marked as read (Meta, read receipts)."""
TOLD_WITHIN: Final = timedelta(days=1)
"""A reading that could not be told for so long is told no more: nobody wonders about it any longer."""
REPEATED_AFTER: Final = 20.0
"""Seconds until it is said again that somebody writes: WhatsApp shows it for 25 s (Meta, typing indicators)."""
