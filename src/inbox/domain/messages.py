"""A message and its public status."""

from enum import StrEnum
from typing import Final


class Author(StrEnum):
    """Who wrote it. `phone` is the owner typing in the WhatsApp Business app."""

    CONTACT = "contact"
    HUMAN = "human"
    BOT = "bot"
    SYSTEM = "system"
    PHONE = "phone"


class Status(StrEnum):
    """The six words that front ends know; no other may appear."""

    RECEIVED = "received"
    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


RANK: Final = {Status.PENDING: 0, Status.SENT: 1, Status.FAILED: 2, Status.DELIVERED: 3, Status.READ: 4}
"""Status only rises. `failed` gives way to a proof of delivery: Meta's order is not reliable."""

FROM_META: Final = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
"""Meta's status words that move the status; others are kept in the history only."""

FAILURES: Final = {
    100: "Paramètre refusé par WhatsApp.",
    190: "Le jeton d'accès WhatsApp du compte n'est plus valide.",
    131026: "Message non distribuable : le numéro n'a pas WhatsApp ou ne peut pas recevoir ce message.",
    131030: "Numéro absent de la liste autorisée du numéro de test.",
    131042: "Problème de paiement sur le compte WhatsApp Business.",
    131047: "Fenêtre de 24 h fermée : envoyez un modèle approuvé.",
    131048: "Limite anti-spam atteinte : l'envoi est restreint par WhatsApp.",
    131051: "Type de message non pris en charge par WhatsApp.",
    131052: "WhatsApp n'a pas pu récupérer le fichier du client.",
}
"""What an operator reads for the codes that the contract names; other codes show WhatsApp's own title."""


def later(current: Status, seen: Status) -> Status:
    """The status after `seen` was heard: never lower than `current`."""
    return seen if RANK[seen] > RANK[current] else current
