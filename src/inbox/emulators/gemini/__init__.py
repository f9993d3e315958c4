"""Gemini's `generateContent` family as an application of its own: for demo, tests, benchmarks, users without a key."""

from inbox.emulators.gemini.app import create_app
from inbox.emulators.gemini.config import GeminiConfig
from inbox.emulators.gemini.rules import Rule

__all__ = ["GeminiConfig", "Rule", "create_app"]
