"""What people read about the words of this service: why a message was not sent, or a request about one refused.

With Meta's codes (`graph_errors`) this is the one table of such texts: for stored messages, for answers, for logs and
for `docs/errors.md`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from inbox.domain import graph_errors
from inbox.domain.explanations import (
    ASK_FIRST,
    CORRECT_MESSAGE,
    CORRECT_REQUEST,
    CORRECT_TEMPLATE,
    DECIDE,
    OTHER_TEMPLATE,
    SEND_LATER,
    SERVICE_REPEATS,
    TRY_LATER,
    Explanation,
    Language,
    Phrase,
)
from inbox.domain.failure_cases import CASES
from inbox.domain.graph_error_messages import REJECTED, WINDOW_CLOSED

EXPIRED: Final = Explanation(
    what=Phrase(
        "Message non envoyé : il a attendu trop longtemps.", "The message was not sent: it has waited too long."
    ),
    next=DECIDE,
)
OVERTAKEN: Final = Explanation(
    what=Phrase(
        "Message non envoyé : une personne a repris la conversation.",
        "The message was not sent: a person took the conversation over.",
    ),
)
CANCELLED: Final = Explanation(
    what=Phrase("Message annulé avant l'envoi.", "The message was cancelled before it was sent."),
)
DISCARDED: Final = Explanation(
    what=Phrase("Message abandonné : il ne sera pas renvoyé.", "The message was given up: it will not be sent again."),
)
NOT_CONFIGURED: Final = Explanation(
    what=Phrase(
        "Le compte n'a pas d'identifiant de numéro ou pas de jeton d'accès utilisable.",
        "The account has no usable phone number id or access token.",
    ),
    next=Phrase(
        "Un administrateur doit compléter les réglages du compte.",
        "An administrator has to complete the settings of the account.",
    ),
)
PAUSED: Final = Explanation(
    what=Phrase(
        "Compte en pause : WhatsApp refuse son jeton ou ses droits.",
        "The account is paused: WhatsApp refuses its token or its rights.",
    ),
    next=Phrase(
        "Un administrateur doit renouveler le jeton d'accès ou les droits ; les messages attendent.",
        "An administrator has to renew the access token or the rights; messages wait.",
    ),
)
UNCONFIRMED: Final = Explanation(
    what=Phrase(
        "WhatsApp n'a pas confirmé ce message.",
        "WhatsApp has not confirmed this message.",
    ),
    next=ASK_FIRST,
)

WORDS: Final[Mapping[str, Explanation]] = {
    "window_closed": WINDOW_CLOSED,
    "expired": EXPIRED,
    "overtaken": OVERTAKEN,
    "cancelled": CANCELLED,
    "discarded_by_human": DISCARDED,
    "unconfirmed": UNCONFIRMED,
    "paused": PAUSED,
    "whatsapp_account_problem": PAUSED,
    "whatsapp_not_configured": NOT_CONFIGURED,
    "whatsapp_rejected": REJECTED,
    "whatsapp_api_error": Explanation(
        what=Phrase("WhatsApp a répondu par une erreur.", "WhatsApp answered with an error."), next=TRY_LATER
    ),
    "whatsapp_unavailable": Explanation(
        what=Phrase("WhatsApp n'est pas disponible.", "WhatsApp is not available."), next=TRY_LATER
    ),
    "whatsapp_timeout": Explanation(
        what=Phrase("WhatsApp n'a pas répondu à temps.", "WhatsApp did not answer in time."), next=TRY_LATER
    ),
    "circuit_open": Explanation(
        what=Phrase("Le service attend que l'autre côté réponde.", "The service waits until the other side answers."),
        next=SERVICE_REPEATS,
    ),
    "conversation_moved": Explanation(
        what=Phrase(
            "Message non envoyé : la conversation a avancé entre-temps.",
            "The message was not sent: the conversation has moved on meanwhile.",
        ),
        next=Phrase(
            "Lisez ce qui est arrivé, puis renvoyez-le s'il convient encore.",
            "Read what came, then send it again if it still fits.",
        ),
    ),
    "message_cancelled": Explanation(
        what=Phrase("Ce message a été annulé ou abandonné.", "This message was cancelled, or given up."),
        next=Phrase("Écrivez un nouveau message.", "Write a new message."),
    ),
    "message_not_queued": Explanation(
        what=Phrase(
            "Ce message est déjà parti, ou son sort est réglé.", "This message has left already, or it is over."
        ),
    ),
    "too_many_scheduled": Explanation(
        what=Phrase(
            "Trop de messages programmés attendent dans cette conversation.",
            "Too many messages of this conversation wait for their time.",
        ),
        next=Phrase("Annulez-en un, ou attendez qu'il parte.", "Cancel one, or wait until it is sent."),
    ),
    "message_not_undecided": Explanation(
        what=Phrase(
            "Ce message n'attend pas de décision : il est en route, envoyé ou réglé.",
            "This message waits for no decision: it is on its way, sent or over.",
        ),
        next=Phrase("Écrivez un nouveau message.", "Write a new message."),
    ),
    "template_paused": Explanation(
        what=Phrase(
            "Modèle suspendu par WhatsApp : sa qualité est trop basse.",
            "WhatsApp has paused the template: its quality is too low.",
        ),
        next=OTHER_TEMPLATE,
    ),
    "template_rejected": Explanation(
        what=Phrase("Modèle rejeté par WhatsApp.", "WhatsApp has rejected the template."), next=OTHER_TEMPLATE
    ),
    "template_disabled": Explanation(
        what=Phrase("Modèle désactivé définitivement par WhatsApp.", "WhatsApp has disabled the template for good."),
        next=OTHER_TEMPLATE,
    ),
    "template_pending": Explanation(
        what=Phrase("WhatsApp examine encore ce modèle.", "WhatsApp is still looking at this template."),
        next=Phrase(
            "Attendez son approbation, ou choisissez un autre modèle.",
            "Wait until it is approved, or choose another template.",
        ),
    ),
    "template_unavailable": Explanation(
        what=Phrase("WhatsApp n'envoie pas ce modèle pour le moment.", "WhatsApp does not send this template now."),
        next=OTHER_TEMPLATE,
    ),
    "template_unknown": Explanation(
        what=Phrase(
            "Le compte n'a pas de modèle de ce nom dans cette langue.",
            "The account has no template of this name in this language.",
        ),
        next=Phrase(
            "S'il est nouveau, relisez la liste des modèles ; sinon, choisissez-en un autre.",
            "If it is new, read the list of templates again; else choose another one.",
        ),
    ),
    "template_not_found": Explanation(
        what=Phrase(
            "Ce modèle n'existe pas, ou le jeton n'a pas accès à son compte WhatsApp Business.",
            "There is no such template, or the token has no access to its WhatsApp Business account.",
        ),
        next=Phrase(
            "Relisez la liste des modèles ; si cela échoue, un administrateur doit vérifier les réglages du compte.",
            "Read the list of templates again; if that fails, an administrator has to check the account's settings.",
        ),
    ),
    "template_exists": graph_errors.GRAPH_ERRORS[2388024],
    "template_limit": graph_errors.GRAPH_ERRORS[2388019],
    "template_not_editable": graph_errors.GRAPH_ERRORS[2388039],
    "payload_too_large": Explanation(
        what=Phrase("Ce qui a été envoyé est trop volumineux.", "What was sent is too large."),
        next=Phrase("Réduisez-le, puis recommencez.", "Make it smaller, then try again."),
    ),
    "unsupported_media_type": Explanation(
        what=Phrase(
            "Le service ne prend pas ce format de demande.", "The service does not take this format of request."
        ),
        next=Phrase(
            "Envoyez un fichier dans un formulaire (multipart/form-data), toute autre demande en JSON.",
            "Send a file in a form (multipart/form-data), any other request as JSON.",
        ),
    ),
    "reaction_not_possible": Explanation(
        what=Phrase(
            "On ne peut réagir qu'aux messages des 30 derniers jours.",
            "Only messages of the last 30 days can be reacted to.",
        ),
        next=Phrase("Répondez par un message.", "Answer with a message."),
    ),
    "invalid_payload": Explanation(
        what=Phrase(
            "Le texte manque, ou il est plus long que WhatsApp ne le permet.",
            "The text is missing, or longer than WhatsApp takes.",
        ),
        next=CORRECT_MESSAGE,
    ),
    "idempotency_key_reused": Explanation(
        what=Phrase(
            "Une autre demande a déjà utilisé cette clé.",
            "Another request has used this key already.",
        ),
        next=Phrase("Rechargez la conversation.", "Load the conversation again."),
    ),
}
"""By machine word: codes of errors, states of a message and reasons why it was not sent."""
_ABOUT_MESSAGES: Final = frozenset(
    {"whatsapp_rejected", "window_closed", "whatsapp_account_problem", "whatsapp_timeout"}
)
"""Words that come with the code of a send. Others come from calls that send nothing."""
_WITHOUT_MESSAGE: Final[Mapping[Phrase | None, Phrase]] = {
    CORRECT_MESSAGE: CORRECT_REQUEST,
    CORRECT_TEMPLATE: CORRECT_REQUEST,
    SEND_LATER: TRY_LATER,
}
"""The next step where there is no message to correct or to send."""
_RIGHTS: Final = range(200, 300)


def explain(word: str, graph_code: int | None = None, case: str | None = None) -> Explanation | None:
    """The explanation of the case or of Meta's code, if there is one, else that of the word.

    None for words that only programs see.
    """
    row = graph_errors.find(graph_code)
    if row is None and graph_code in _RIGHTS:
        row = graph_errors.GRAPH_ERRORS[_RIGHTS.start]
    if row is not None and word not in _ABOUT_MESSAGES:
        row = msgspec.structs.replace(row, next=_WITHOUT_MESSAGE.get(row.next, row.next))
    return CASES.get(case or "") or row or WORDS.get(word)


def logged(word: str, graph_code: int | None = None) -> str:
    """The same for a line of the log, which is English; the word itself if there is nothing to say."""
    said = explain(word, graph_code)
    return said.sentence(Language.ENGLISH) if said else word
