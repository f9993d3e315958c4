"""The rows of Meta's error codes that are about one message, its recipient, its file or its template."""

from typing import Final

from inbox.domain.explanations import (
    ASK_CUSTOMER,
    CORRECT_FILE,
    CORRECT_MESSAGE,
    CORRECT_TEMPLATE,
    OTHER_CHANNEL,
    OTHER_TEMPLATE,
    REWRITE_TEMPLATE,
    SEND_LATER,
    USE_TEMPLATE,
    Explanation,
    Phrase,
)
from inbox.domain.graph_error_rows import GraphError, Verdict, refused

_WAIT_A_DAY: Final = Phrase(
    "Attendez au moins 24 heures avant de lui proposer une offre.",
    "Wait at least 24 hours before you offer anything again.",
)
_OTHER_NUMBER: Final = Phrase("Écrivez au numéro du client.", "Write to the customer's own number.")
_ALLOW_NUMBER: Final = Phrase(
    "Ajoutez le numéro à la liste du numéro de test, ou utilisez un numéro de production.",
    "Add the number to the list of the test number, or use a production number.",
)
_UNBLOCK: Final = Phrase("Débloquez le client, puis renvoyez le message.", "Unblock the customer, then send it again.")
_CONFIRM_IDENTITY: Final = Phrase(
    "Vérifiez l'identité du client avant de lui écrire de nouveau.",
    "Confirm the customer's identity before you write again.",
)
_ENABLE_MARKETING: Final = Phrase(
    "Un administrateur doit activer les modèles marketing dans WhatsApp Manager.",
    "An administrator has to enable marketing templates in WhatsApp Manager.",
)
_WAIT_TEN_MINUTES: Final = Phrase("Renvoyez-le dans dix minutes.", "Send it again in ten minutes.")
_REPAIR_FLOW: Final = Phrase(
    "Un administrateur doit consulter l'état du formulaire dans WhatsApp Manager.",
    "An administrator has to look at the state of the flow in WhatsApp Manager.",
)
_OTHER_NAME: Final = Phrase(
    "Choisissez un autre nom ou une autre langue, ou modifiez le modèle existant.",
    "Choose another name or another language, or change the template that is there.",
)
_EDIT_LATER: Final = Phrase(
    "Attendez la fin de l'examen, ou 24 heures après la dernière modification ; sinon, créez un autre modèle.",
    "Wait until WhatsApp has looked at it, or 24 hours after the last change; else create another template.",
)
_OTHER_CONTENT: Final = Phrase(
    "Modifiez le modèle, ou choisissez-en un autre qui est approuvé.",
    "Change the template, or choose another one that is approved.",
)
_DELETE_TEMPLATES: Final = Phrase(
    "Supprimez des modèles qui ne servent plus.", "Delete templates that are not used any more."
)

WINDOW_CLOSED: Final = Explanation(
    what=Phrase("Fenêtre de 24 h fermée.", "The 24-hour window of the customer is closed."), next=USE_TEMPLATE
)
REJECTED: Final = Explanation(
    what=Phrase("WhatsApp refuse ce message.", "WhatsApp refuses this message."), next=CORRECT_MESSAGE
)
"""Of a code that has no row."""


def _window(code: int) -> GraphError:
    said = WINDOW_CLOSED
    return GraphError(code=code, last=code, verdict=Verdict.WINDOW, what=said.what, next=said.next)


MESSAGE_ROWS: Final = (
    _window(470),
    _window(131047),
    refused(
        100, CORRECT_MESSAGE, fr="Paramètre refusé par WhatsApp.", en="WhatsApp refuses a parameter.", says_more=True
    ),
    refused(130403, _UNBLOCK, fr="Ce client est bloqué par le compte.", en="The account has blocked this customer."),
    refused(
        130472,
        OTHER_CHANNEL,
        fr="WhatsApp mène une expérience avec ce numéro : aucun message marketing.",
        en="WhatsApp runs an experiment with this number: no marketing messages.",
    ),
    refused(
        130501,
        CORRECT_MESSAGE,
        fr="Type de message non pris en charge dans un groupe.",
        en="Message type not supported in a group.",
    ),
    refused(
        131008,
        CORRECT_MESSAGE,
        fr="Il manque un paramètre obligatoire.",
        en="A required parameter is missing.",
        says_more=True,
    ),
    refused(
        131009,
        CORRECT_MESSAGE,
        fr="La valeur d'un paramètre n'est pas valable.",
        en="The value of a parameter is not valid.",
        says_more=True,
    ),
    refused(131020, OTHER_CHANNEL, fr="WhatsApp refuse ce groupe.", en="WhatsApp refuses this group."),
    refused(131041, OTHER_CHANNEL, fr="WhatsApp ne connaît pas ce groupe.", en="WhatsApp does not know this group."),
    refused(
        131021,
        _OTHER_NUMBER,
        fr="Le destinataire est l'expéditeur lui-même.",
        en="Recipient and sender are the same number.",
    ),
    refused(
        131026,
        OTHER_CHANNEL,
        fr="Message non distribuable : le numéro n'a pas WhatsApp ou ne peut pas recevoir ce message.",
        en="Undeliverable: the number is not on WhatsApp or cannot receive this message.",
    ),
    refused(
        131030,
        _ALLOW_NUMBER,
        fr="Numéro absent de la liste autorisée du numéro de test.",
        en="The number is not on the list of the test number.",
    ),
    refused(
        131049,
        _WAIT_A_DAY,
        fr="WhatsApp limite les messages marketing à ce client.",
        en="WhatsApp limits marketing messages to this customer.",
    ),
    refused(
        131050,
        OTHER_CHANNEL,
        fr="Ce client ne veut plus de messages marketing.",
        en="This customer does not want marketing messages any more.",
    ),
    refused(
        131051,
        CORRECT_MESSAGE,
        fr="Type de message non pris en charge par WhatsApp.",
        en="WhatsApp does not support this type of message.",
    ),
    refused(
        131052,
        ASK_CUSTOMER,
        fr="WhatsApp n'a pas pu récupérer le fichier du client.",
        en="WhatsApp could not fetch the customer's file.",
    ),
    refused(
        131053,
        CORRECT_FILE,
        fr="WhatsApp n'a pas pu prendre le fichier.",
        en="WhatsApp could not take the file.",
        says_more=True,
    ),
    refused(
        131055,
        CORRECT_MESSAGE,
        fr="WhatsApp ne permet pas cet envoi par cette voie.",
        en="WhatsApp does not allow this send on this path.",
    ),
    refused(
        131060,
        ASK_CUSTOMER,
        fr="WhatsApp ne peut pas montrer ce message du client.",
        en="WhatsApp cannot show this message of the customer.",
    ),
    refused(
        131062,
        _OTHER_NUMBER,
        fr="Ce message exige un numéro de téléphone, pas un identifiant WhatsApp.",
        en="This message needs a phone number, not a WhatsApp user id.",
    ),
    refused(
        131063,
        _ENABLE_MARKETING,
        fr="Les modèles marketing sont désactivés pour ce numéro.",
        en="Marketing templates are disabled for this number.",
    ),
    refused(
        131201,
        OTHER_CHANNEL,
        last=131215,
        fr="WhatsApp refuse cette action dans le groupe.",
        en="WhatsApp refuses this in the group.",
        says_more=True,
    ),
    refused(
        132000,
        CORRECT_TEMPLATE,
        fr="Le nombre de variables ne correspond pas au modèle.",
        en="The number of variables does not match the template.",
        says_more=True,
    ),
    refused(
        132001,
        OTHER_TEMPLATE,
        fr="Ce modèle n'existe pas dans cette langue, ou n'est pas approuvé.",
        en="The template does not exist in this language, or is not approved.",
    ),
    refused(
        132005,
        CORRECT_TEMPLATE,
        fr="Le texte du modèle est trop long une fois rempli.",
        en="The text of the template is too long when filled in.",
    ),
    refused(
        132007,
        _OTHER_CONTENT,
        fr="Le contenu du modèle enfreint les règles de WhatsApp.",
        en="The content of the template breaks WhatsApp's rules.",
    ),
    refused(
        132012,
        CORRECT_TEMPLATE,
        fr="Une variable n'a pas la forme que le modèle attend.",
        en="A variable does not have the form that the template expects.",
        says_more=True,
    ),
    refused(
        132015,
        OTHER_TEMPLATE,
        fr="Modèle suspendu par WhatsApp : sa qualité est trop basse.",
        en="WhatsApp has paused the template: its quality is too low.",
    ),
    refused(
        132016,
        OTHER_TEMPLATE,
        fr="Modèle désactivé définitivement par WhatsApp.",
        en="WhatsApp has disabled the template for good.",
    ),
    refused(
        132018,
        CORRECT_TEMPLATE,
        fr="Les variables ne conviennent pas au modèle.",
        en="The variables do not suit the template.",
        says_more=True,
    ),
    refused(
        132068, _REPAIR_FLOW, fr="Le formulaire (Flow) est bloqué par WhatsApp.", en="WhatsApp has blocked the flow."
    ),
    refused(
        132069,
        SEND_LATER,
        fr="Le formulaire (Flow) est limité à 10 messages par heure.",
        en="The flow is limited to 10 messages an hour.",
    ),
    refused(
        134100,
        OTHER_TEMPLATE,
        fr="Cette voie ne prend que des modèles marketing.",
        en="Only marketing templates can be sent on this path.",
    ),
    refused(
        134101,
        _WAIT_TEN_MINUTES,
        fr="WhatsApp prépare encore ce modèle.",
        en="WhatsApp is still preparing this template.",
    ),
    refused(
        134102,
        OTHER_TEMPLATE,
        fr="Ce modèle ne peut pas être envoyé par cette voie.",
        en="This template cannot be sent on this path.",
    ),
    refused(
        135000,
        CORRECT_MESSAGE,
        fr="WhatsApp refuse les paramètres du message.",
        en="WhatsApp refuses the parameters of the message.",
        says_more=True,
    ),
    refused(
        137000,
        _CONFIRM_IDENTITY,
        fr="Le client a changé d'appareil : son identité n'est pas confirmée.",
        en="The customer changed the device: the identity is not confirmed.",
    ),
    refused(141002, OTHER_TEMPLATE, fr="Modèle non approuvé.", en="The template is not approved."),
    refused(
        2388019,
        _DELETE_TEMPLATES,
        fr="Le compte a atteint son nombre maximal de modèles.",
        en="The account has as many templates as it may have.",
    ),
    refused(
        2388024,
        _OTHER_NAME,
        fr="Un modèle de ce nom existe déjà dans cette langue.",
        en="A template of this name exists in this language already.",
    ),
    refused(
        2388039,
        _EDIT_LATER,
        fr="Le modèle ne peut pas être modifié dans son état actuel.",
        en="The template cannot be changed in its present state.",
        says_more=True,
    ),
    refused(
        2388040,
        REWRITE_TEMPLATE,
        fr="Un texte du modèle est trop long.",
        en="A text of the template is too long.",
        says_more=True,
    ),
    refused(
        2388047,
        REWRITE_TEMPLATE,
        fr="L'en-tête du modèle n'est pas valable.",
        en="The header of the template is not valid.",
        says_more=True,
    ),
    refused(
        2388072,
        REWRITE_TEMPLATE,
        fr="Le corps du modèle n'est pas valable.",
        en="The body of the template is not valid.",
        says_more=True,
    ),
    refused(
        2388073,
        REWRITE_TEMPLATE,
        fr="Le pied du modèle n'est pas valable.",
        en="The footer of the template is not valid.",
        says_more=True,
    ),
    refused(
        2388293,
        REWRITE_TEMPLATE,
        fr="Le modèle a trop de variables pour sa longueur.",
        en="The template has too many variables for its length.",
    ),
    refused(
        2388299,
        REWRITE_TEMPLATE,
        fr="Une variable est au début ou à la fin du modèle.",
        en="A variable is at the beginning or at the end of the template.",
    ),
)
