"""Examples of calls to the assistant beside a person."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_knowledge import ARTICLE_ID
from inbox.entrypoints.http.examples_values import MESSAGE, Example

_MODEL: Final = "gemini-2.5-flash"

COPILOT: Final[Mapping[str, Example]] = {
    "copilot.suggest_reply": Example(
        answer={
            "text": "Bonjour ! Une crevaison coûte 15 € avec la chambre à air, et il ne faut pas de rendez-vous.",
            "confidence": 0.93,
            "sources": [
                {
                    "article_id": ARTICLE_ID,
                    "version": 1,
                    "title": "Combien coûte la réparation d'une crevaison ?",
                    "text": "15 € avec la chambre à air, sans rendez-vous.",
                }
            ],
            "message_id": MESSAGE,
            "model": _MODEL,
        }
    ),
    "copilot.summarise_conversation": Example(
        answer={
            "text": "Le client demande le prix d'une crevaison et les horaires du samedi. Rien ne lui a été promis.",
            "message_id": MESSAGE,
            "model": _MODEL,
        }
    ),
    "copilot.translate_text": Example(
        request={"text": "Votre vélo est prêt.", "target_language": "en"},
        answer={
            "text": "Your bike is ready.",
            "source_language": "fr",
            "target_language": "en",
            "model": _MODEL,
        },
    ),
}
