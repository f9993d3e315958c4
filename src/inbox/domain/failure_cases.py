"""Texts for cases of an error where its word says too little: which file is wanted, which state a template is in.

Part of the table in `failure_texts`; the key stands in the error's `case`.
"""

from collections.abc import Mapping
from typing import Final

from inbox.domain.explanations import OTHER_TEMPLATE, Explanation, Phrase
from inbox.domain.uploads import MOST_BYTES, UploadKind

_MB: Final = 1024 * 1024
_CONVERT: Final = Phrase(
    "Convertissez le fichier, puis envoyez-le de nouveau.", "Convert the file, then send it again."
)
_SHRINK: Final = Phrase(
    "Réduisez le fichier, puis envoyez-le de nouveau.", "Make the file smaller, then send it again."
)
_OTHER_FILE: Final = Phrase("Choisissez un autre fichier.", "Choose another file.")

_NAMES: Final[Mapping[UploadKind, Phrase]] = {
    UploadKind.IMAGE: Phrase("Une image", "A picture"),
    UploadKind.VIDEO: Phrase("Une vidéo", "A video"),
    UploadKind.AUDIO: Phrase("Un fichier audio", "An audio file"),
    UploadKind.VOICE: Phrase("Une note vocale", "A voice note"),
    UploadKind.DOCUMENT: Phrase("Un document", "A document"),
    UploadKind.STICKER: Phrase("Un sticker", "A sticker"),
}
_FORMATS: Final[Mapping[UploadKind, Phrase]] = {
    UploadKind.IMAGE: Phrase("être en JPEG ou en PNG", "be JPEG or PNG"),
    UploadKind.VIDEO: Phrase("être en MP4 ou en 3GP", "be MP4 or 3GP"),
    UploadKind.AUDIO: Phrase(
        "être en AAC, AMR, MP3, M4A, ou en OGG avec Opus", "be AAC, AMR, MP3, M4A, or OGG with Opus"
    ),
    UploadKind.VOICE: Phrase("être en OGG avec Opus, sur un seul canal", "be OGG with Opus, in one channel"),
    UploadKind.DOCUMENT: Phrase(
        "être en PDF, en texte simple, ou venir de Word, d'Excel ou de PowerPoint",
        "be PDF, plain text, or of Word, Excel or PowerPoint",
    ),
    UploadKind.STICKER: Phrase("être en WebP, de 512 x 512 pixels", "be WebP, of 512 x 512 pixels"),
}
_CONVERSIONS: Final[Mapping[UploadKind, Phrase]] = {
    UploadKind.VOICE: Phrase(
        "Envoyez ce son comme fichier audio, ou convertissez-le en OGG avec Opus.",
        "Send this sound as an audio file, or convert it to OGG with Opus.",
    ),
}


def _no_file_of(kind: UploadKind) -> Explanation:
    name, wanted = _NAMES[kind], _FORMATS[kind]
    what = Phrase(f"{name.fr} doit {wanted.fr}.", f"{name.en} has to {wanted.en}.")
    return Explanation(what=what, next=_CONVERSIONS.get(kind, _CONVERT))


def _too_large(kind: UploadKind) -> Explanation:
    name, most = _NAMES[kind], MOST_BYTES[kind]
    fr, en = (f"{most // _MB} Mo", f"{most // _MB} MB") if most >= _MB else (f"{most // 1024} Ko", f"{most // 1024} KB")
    what = Phrase(f"{name.fr} ne peut pas dépasser {fr}.", f"{name.en} has at most {en}.")
    return Explanation(what=what, next=_SHRINK)


CASES: Final[Mapping[str, Explanation]] = {
    **{f"file_no_{kind}": _no_file_of(kind) for kind in UploadKind},
    **{f"{kind}_too_large": _too_large(kind) for kind in UploadKind},
    "sticker_too_large": Explanation(
        what=Phrase(
            "Un sticker fixe ne peut pas dépasser 100 Ko, un sticker animé 500 Ko.",
            "A sticker that does not move has at most 100 KB, one that moves 500 KB.",
        ),
        next=_SHRINK,
    ),
    "file_not_mono": Explanation(
        what=Phrase(
            "WhatsApp ne prend l'OGG que sur un seul canal (mono).", "WhatsApp takes OGG in one channel (mono) only."
        ),
        next=_CONVERT,
    ),
    "file_empty": Explanation(what=Phrase("Le fichier est vide.", "The file is empty."), next=_OTHER_FILE),
    "file_missing": Explanation(
        what=Phrase("La demande ne contient pas exactement un fichier.", "The request does not hold exactly one file."),
        next=Phrase("Choisissez un fichier et envoyez-le de nouveau.", "Choose one file and send it again."),
    ),
    "file_cut_off": Explanation(
        what=Phrase("Le fichier n'est pas arrivé en entier.", "The file did not come whole."),
        next=Phrase("Envoyez-le de nouveau.", "Send it again."),
    ),
    "template_over_limit": Explanation(
        what=Phrase(
            "WhatsApp n'envoie pas ce modèle : le compte dépasse une limite de modèles.",
            "WhatsApp does not send this template: the account is over a limit of templates.",
        ),
        next=OTHER_TEMPLATE,
    ),
    "template_archived": Explanation(
        what=Phrase(
            "WhatsApp n'envoie pas ce modèle : il est archivé.", "WhatsApp does not send this template: it is archived."
        ),
        next=OTHER_TEMPLATE,
    ),
    "template_being_deleted": Explanation(
        what=Phrase(
            "WhatsApp n'envoie plus ce modèle : il est en cours de suppression.",
            "WhatsApp does not send this template any more: it is being deleted.",
        ),
        next=OTHER_TEMPLATE,
    ),
}
"""By the `case` of errors."""
