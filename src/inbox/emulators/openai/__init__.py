"""A server that speaks OpenAI's chat completions, for tests and for users without a model of their own."""

from inbox.emulators.openai.app import create_app
from inbox.emulators.openai.config import OpenAiConfig

__all__ = ["OpenAiConfig", "create_app"]
