"""What a row of the table of Meta's error codes is, and the rows about access, accounts, numbers and limits."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from inbox.domain.explanations import (
    CHECK_ACCOUNT,
    CHECK_NUMBER,
    CORRECT_MESSAGE,
    GRANT_RIGHTS,
    NEW_TOKEN,
    OTHER_CHANNEL,
    PAY,
    SEND_LATER,
    SEND_LESS,
    Explanation,
    Phrase,
)


class Verdict(StrEnum):
    """What a code says about a send that it answers."""

    REFUSED = "refused"
    """WhatsApp refuses this message for good."""
    WINDOW = "window"
    """Likewise: the customer service window is closed."""
    LATER = "later"
    """Surely not taken: the service sends the same message again after a while."""
    ACCOUNT = "account"
    """Token, rights, payment or number are at fault: the account is paused, its messages wait."""
    UNKNOWN = "unknown"
    """It may be under way: only a status of WhatsApp or a person decides."""


class GraphError(Explanation, frozen=True, kw_only=True):
    """One code, or all from `code` to `last`. The texts are those of a message that has failed with it.

    `scope` is what has to wait if the verdict is `later`: `app`, `waba`, `number`, `pair`, `service`, or `upgrade`: the
    number while WhatsApp upgrades it. `says_more` is true where only WhatsApp's own words name the fault: they follow
    in parentheses.
    """

    code: int
    last: int
    verdict: Verdict
    scope: str | None = None
    says_more: bool = False


def refused(
    code: int, following: Phrase | None, *, fr: str, en: str, last: int | None = None, says_more: bool = False
) -> GraphError:
    """A code that refuses the message for good."""
    return GraphError(
        code=code,
        last=last or code,
        verdict=Verdict.REFUSED,
        what=Phrase(fr, en),
        next=following,
        says_more=says_more,
    )


def _account(code: int, following: Phrase, *, fr: str, en: str) -> GraphError:
    return GraphError(code=code, last=code, verdict=Verdict.ACCOUNT, what=Phrase(fr, en), next=following)


def _later(code: int, scope: str, *, fr: str, en: str) -> GraphError:
    what = Phrase(fr, en)
    return GraphError(code=code, last=code, verdict=Verdict.LATER, scope=scope, what=what, next=SEND_LATER)


def _unknown(code: int) -> GraphError:
    what = Phrase("WhatsApp signale une erreur inconnue.", "WhatsApp reports an unknown error.")
    return GraphError(code=code, last=code, verdict=Verdict.UNKNOWN, what=what, next=SEND_LATER)


_CONFIGURE: Final = Phrase(
    "Un administrateur doit vérifier l'identifiant du numéro et l'adresse de l'API.",
    "An administrator has to check the phone number id and the address of the API.",
)

ACCOUNT_ROWS: Final = (
    _account(0, NEW_TOKEN, fr="WhatsApp ne reconnaît pas l'application.", en="WhatsApp does not recognise the app."),
    _account(
        3,
        GRANT_RIGHTS,
        fr="L'application n'a pas la capacité d'appeler WhatsApp.",
        en="The app lacks the capability to call WhatsApp.",
    ),
    _account(10, GRANT_RIGHTS, fr="L'application a perdu une autorisation.", en="The app has lost a permission."),
    _account(
        33,
        CHECK_NUMBER,
        fr="WhatsApp ne connaît pas ce numéro professionnel, ou le compte n'y a pas accès.",
        en="WhatsApp does not know this business number, or the account has no access to it.",
    ),
    _account(104, NEW_TOKEN, fr="Il manque un jeton d'accès WhatsApp.", en="An access token of WhatsApp is missing."),
    _account(
        190,
        NEW_TOKEN,
        fr="Le jeton d'accès WhatsApp du compte n'est plus valide.",
        en="The account's access token of WhatsApp is no longer valid.",
    ),
    _account(
        200,
        GRANT_RIGHTS,
        fr="Le jeton n'a pas les droits nécessaires sur ce compte WhatsApp Business.",
        en="The token lacks rights on this WhatsApp Business account.",
    ),
    _account(
        368,
        CHECK_ACCOUNT,
        fr="Compte WhatsApp Business restreint ou désactivé pour infraction aux règles.",
        en="WhatsApp Business account restricted or disabled for breaking the rules.",
    ),
    _account(
        803, _CONFIGURE, fr="WhatsApp ne connaît pas l'objet appelé.", en="WhatsApp does not know the object called."
    ),
    _account(2500, _CONFIGURE, fr="WhatsApp ne connaît pas l'adresse appelée.", en="WhatsApp does not know the path."),
    _account(
        131005, GRANT_RIGHTS, fr="WhatsApp refuse l'accès au compte.", en="WhatsApp denies access to the account."
    ),
    _account(
        131031,
        CHECK_ACCOUNT,
        fr="Compte WhatsApp Business bloqué.",
        en="WhatsApp Business account locked.",
    ),
    _account(
        131037,
        CHECK_NUMBER,
        fr="Le nom affiché du numéro n'est pas encore approuvé.",
        en="The display name of the number is not approved yet.",
    ),
    _account(
        131042,
        PAY,
        fr="Problème de paiement sur le compte WhatsApp Business.",
        en="Payment problem of the WhatsApp Business account.",
    ),
    _account(
        131045,
        CHECK_NUMBER,
        fr="Le numéro n'est pas correctement enregistré chez WhatsApp.",
        en="The number is not registered properly at WhatsApp.",
    ),
    _account(
        133000,
        CHECK_NUMBER,
        fr="Le désenregistrement du numéro est resté inachevé.",
        en="The number was not deregistered completely.",
    ),
    _account(133005, CHECK_NUMBER, fr="Code PIN du numéro erroné.", en="Wrong PIN of the number."),
    _account(
        133006, CHECK_NUMBER, fr="Le numéro doit être vérifié de nouveau.", en="The number has to be verified anew."
    ),
    _account(
        133008, CHECK_NUMBER, fr="Trop d'essais du code PIN du numéro.", en="Too many guesses of the number's PIN."
    ),
    _account(
        133009, CHECK_NUMBER, fr="Code PIN du numéro essayé trop vite.", en="The number's PIN was guessed too fast."
    ),
    _account(
        133010,
        CHECK_NUMBER,
        fr="Le numéro n'est pas enregistré chez WhatsApp.",
        en="The number is not registered at WhatsApp.",
    ),
    _account(
        133015,
        CHECK_NUMBER,
        fr="Le numéro vient d'être supprimé ; sa suppression prend quelques minutes.",
        en="The number was just deleted, which takes some minutes.",
    ),
    _account(
        133016,
        CHECK_NUMBER,
        fr="Trop d'enregistrements du numéro en 72 heures.",
        en="Too many registrations of the number in 72 hours.",
    ),
    refused(
        134011, PAY, fr="Les conditions de paiement ne sont pas acceptées.", en="The terms of payment are not accepted."
    ),
    _unknown(1),
    _unknown(131000),
    _later(2, "service", fr="WhatsApp est surchargé ou en panne.", en="WhatsApp is overloaded or down."),
    _later(4, "app", fr="L'application appelle WhatsApp trop souvent.", en="The app calls WhatsApp too often."),
    _later(
        80007,
        "waba",
        fr="Le compte WhatsApp Business appelle WhatsApp trop souvent.",
        en="The WhatsApp Business account calls WhatsApp too often.",
    ),
    _later(130429, "number", fr="Ce numéro envoie trop vite.", en="This number sends too fast."),
    _later(131016, "service", fr="Service WhatsApp indisponible.", en="WhatsApp is unavailable."),
    _later(
        131056,
        "pair",
        fr="Trop de messages à ce client en peu de temps.",
        en="Too many messages to this customer in a short time.",
    ),
    _later(
        131057,
        "upgrade",
        fr="WhatsApp met le numéro à niveau, pour une minute environ.",
        en="WhatsApp is upgrading the number, for about a minute.",
    ),
    _later(133004, "service", fr="Serveur WhatsApp indisponible.", en="WhatsApp's server is unavailable."),
    refused(
        130497,
        OTHER_CHANNEL,
        fr="Le compte ne peut pas écrire aux clients de ce pays.",
        en="The account may not write to customers in this country.",
    ),
    refused(
        131048,
        SEND_LESS,
        fr="Limite anti-spam atteinte : l'envoi est restreint par WhatsApp.",
        en="Spam limit reached: WhatsApp restricts sending.",
    ),
    refused(
        131064,
        SEND_LESS,
        fr="Envoi limité : des modèles étaient dans une mauvaise catégorie.",
        en="Sending is limited: templates were in a wrong category.",
    ),
    refused(
        136024, CHECK_NUMBER, fr="Le numéro est déjà vérifié.", en="The number is verified already.", says_more=True
    ),
    refused(
        2593107,
        None,
        last=2593109,
        fr="La reprise des conversations de l'application WhatsApp Business n'est plus possible.",
        en="The conversations of the WhatsApp Business app cannot be taken over any more.",
    ),
    refused(
        138024,
        CHECK_NUMBER,
        last=138025,
        fr="WhatsApp refuse un réglage d'appel du numéro.",
        en="WhatsApp refuses a calling setting of the number.",
        says_more=True,
    ),
    refused(
        147001,
        CHECK_NUMBER,
        last=147005,
        fr="WhatsApp refuse ce nom d'utilisateur.",
        en="WhatsApp refuses this user name.",
        says_more=True,
    ),
    refused(131059, SEND_LATER, fr="Cette page de la liste a expiré.", en="This page of the list has expired."),
    refused(
        139100,
        CORRECT_MESSAGE,
        last=139103,
        fr="Certains clients n'ont pas pu être bloqués ou débloqués.",
        en="Some customers could not be blocked or unblocked.",
        says_more=True,
    ),
)


def by_code(*rows: GraphError) -> Mapping[int, GraphError]:
    """Each code once. Raises `ValueError` for a code that two rows claim."""
    table: dict[int, GraphError] = {}
    for row in rows:
        for code in range(row.code, row.last + 1):
            if table.setdefault(code, row) is not row:
                raise ValueError(code)
    return table
