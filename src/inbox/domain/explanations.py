"""What people read about a failure: what happened, and what they can do about it, in French and in English."""

from enum import StrEnum
from typing import Final

import msgspec


class Language(StrEnum):
    """French or English. What is stored about failures is French."""

    FRENCH = "fr"
    ENGLISH = "en"


class Phrase(msgspec.Struct, frozen=True):
    """One or more whole sentences, the same in each language."""

    fr: str
    en: str

    def said_in(self, language: Language) -> str:
        """The sentences in this language."""
        return self.fr if language is Language.FRENCH else self.en


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """`what` happened, and the `next` step of the person who reads it; None if there is nothing to do."""

    what: Phrase
    next: Phrase | None = None

    def sentence(self, language: Language = Language.FRENCH) -> str:
        """Both, as failed messages show it."""
        what = self.what.said_in(language)
        return f"{what} {self.next.said_in(language)}" if self.next else what


SERVICE_REPEATS: Final = Phrase(
    "Rien à faire : le service réessaie de lui-même.",
    "Nothing to do: the service tries again by itself.",
)
USE_TEMPLATE: Final = Phrase(
    "Envoyez un modèle approuvé, ou attendez que le client écrive.",
    "Send an approved template, or wait until the customer writes.",
)
OTHER_CHANNEL: Final = Phrase(
    "Ne renvoyez pas ce message : joignez la personne autrement.",
    "Do not send it again: reach the person another way.",
)
CORRECT_MESSAGE: Final = Phrase(
    "Corrigez le message et envoyez-le de nouveau.",
    "Correct the message and send it again.",
)
CORRECT_REQUEST: Final = Phrase(
    "Corrigez la demande, puis refaites-la.",
    "Correct the request, then make it again.",
)
CORRECT_FILE: Final = Phrase(
    "Vérifiez le format et la taille du fichier, puis envoyez-le de nouveau.",
    "Check the format and the size of the file, then send it again.",
)
CORRECT_TEMPLATE: Final = Phrase(
    "Comparez les variables avec le modèle, puis envoyez-le de nouveau.",
    "Compare the variables with the template, then send it again.",
)
OTHER_TEMPLATE: Final = Phrase("Choisissez un autre modèle approuvé.", "Choose another approved template.")
REWRITE_TEMPLATE: Final = Phrase(
    "Modifiez le modèle et soumettez-le de nouveau.",
    "Change the template and submit it again.",
)
TRY_LATER: Final = Phrase("Réessayez plus tard.", "Try again later.")
SEND_LATER: Final = Phrase("Renvoyez-le plus tard.", "Send it again later.")
ASK_FIRST: Final = Phrase(
    "Il a pu arriver : vérifiez auprès du client avant de le renvoyer, ou abandonnez-le.",
    "It may have arrived: ask the customer before you send it again, or give it up.",
)
DECIDE: Final = Phrase("Renvoyez-le ou abandonnez-le.", "Send it again or give it up.")
NEW_TOKEN: Final = Phrase(
    "Un administrateur doit enregistrer un nouveau jeton d'accès.",
    "An administrator has to store a new access token.",
)
GRANT_RIGHTS: Final = Phrase(
    "Un administrateur doit rendre à l'application ses droits sur le compte WhatsApp Business.",
    "An administrator has to give the app its rights on the WhatsApp Business account back.",
)
CHECK_NUMBER: Final = Phrase(
    "Un administrateur doit vérifier le numéro dans WhatsApp Manager et les réglages du compte.",
    "An administrator has to check the number in WhatsApp Manager and the settings of the account.",
)
CHECK_ACCOUNT: Final = Phrase(
    "Un administrateur doit consulter l'état du compte dans WhatsApp Manager.",
    "An administrator has to look at the state of the account in WhatsApp Manager.",
)
PAY: Final = Phrase(
    "Un administrateur doit régler le moyen de paiement dans WhatsApp Manager.",
    "An administrator has to settle the means of payment in WhatsApp Manager.",
)
SEND_LESS: Final = Phrase(
    "Suspendez les envois en nombre et attendez que la restriction soit levée.",
    "Stop sending in bulk and wait until the restriction is lifted.",
)
ASK_CUSTOMER: Final = Phrase(
    "Demandez au client de l'envoyer de nouveau.",
    "Ask the customer to send it again.",
)
