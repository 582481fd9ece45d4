"""Carehelp's own sentences, in French, English and Pidgin: what no model and no source says.

Not clinically reviewed. French first; a language that is missing reads the French.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ai.language import name_of

LANGUAGES = ("fr", "en", "pcm")

DISCLAIMER = {
    "fr": "Carehelp informe, mais ne remplace pas un soignant. En cas de danger, allez tout de "
    "suite à l'hôpital le plus proche.",
    "en": "Carehelp informs; it does not replace a health worker. If there is danger, go to the "
    "nearest hospital at once.",
    "pcm": "Carehelp di give information, e no fit take doctor place. If danger dey, go nearest "
    "hospital quick quick.",
}

BY_A_MODEL = {
    "fr": "Cette description vient d'un modèle d'IA, qui peut se tromper : ce n'est pas un "
    "diagnostic.",
    "en": "This description comes from an AI model, which can be wrong: it is not a diagnosis.",
    "pcm": "Na AI model write this, e fit make mistake: no be doctor talk.",
}

CALL_BACK = {
    "fr": "Si vous le pouvez, écrivez ici un numéro où vous joindre et l'endroit où vous êtes.",
    "en": "If you can, write here a number to reach you on and where you are.",
    "pcm": "If you fit, write for here number wey person fit call you and place wey you dey.",
}

NOBODY_READS = {
    "fr": "Aucun soignant ne lira ce message : vous n'avez pas accepté la relecture. Vous pouvez "
    "l'accepter dans vos choix.",
    "en": "No clinician will read this message: you have not allowed review. You can allow it in "
    "your choices.",
    "pcm": "No doctor go read this message, because you never gree say make dem read. You fit gree "
    "for your choices.",
}

MAY_BE_READ = {
    "fr": "Un soignant pourra lire cet échange, mais personne n'a encore confirmé l'avoir lu : "
    "n'attendez pas.",
    "en": "A clinician may read this, but nobody has confirmed reading it yet: do not wait.",
    "pcm": "Doctor fit read this talk, but nobody never confirm say e don read am: no wait.",
}

QUESTIONS = {
    "fr": "Pour mieux vous orienter :",
    "en": "To guide you better:",
    "pcm": "Make we fit guide you well:",
}

NOT_HEARD = {
    "fr": "Nous n'avons pas pu comprendre votre enregistrement. Écrivez-nous en quelques mots ce que "
    "vous y dites.",
    "en": "We could not understand your recording. Write to us in a few words what you say in it.",
    "pcm": "We no fit understand your voice message. Write small wetin you talk inside.",
}

NOT_SEEN = {
    "fr": "Nous n'avons pas pu regarder votre photo. Décrivez en quelques mots ce qu'elle montre.",
    "en": "We could not look at your picture. Describe in a few words what it shows.",
    "pcm": "We no fit look your picture. Write small wetin e di show.",
}

STAYS_HERE = {
    "no_consent": {
        "fr": "Il faudrait l'envoyer à l'étranger, ce que vous n'avez pas accepté. Vous pouvez "
        "l'accepter dans vos choix.",
        "en": "It would have to be sent abroad, which you have not allowed. You can allow it in your "
        "choices.",
        "pcm": "E for must go outside country, and you never gree. You fit gree for your choices.",
    },
    "minor": {
        "fr": "Il s'agit d'un mineur : rien n'est envoyé à l'étranger.",
        "en": "This is about a minor: nothing is sent abroad.",
        "pcm": "Na pikin matter: we no di send anything outside country.",
    },
}


def missed(attachments: Sequence[Mapping[str, Any]], language: str) -> str:
    """What to say of recordings and pictures that were not understood, each sentence once."""
    said: dict[str, None] = {}
    for one in attachments:
        if not one["understood"]:
            said[say(NOT_HEARD if one["kind"] == "audio" else NOT_SEEN, language)] = None
            if why := STAYS_HERE.get(one["reason"]):
                said[say(why, language)] = None
    return " ".join(said)


def of_a_picture(language: str) -> str:
    """What stands beside a picture's description."""
    return f"{say(BY_A_MODEL, language)} {say(DISCLAIMER, language)}"


NOT_FOUND = {
    "fr": "Nous n'avons trouvé aucune fiche pour cette question : ce qui suit ne s'appuie sur aucune "
    "source. Parlez-en à un soignant, au centre de santé, à l'hôpital de district ou à la pharmacie.",
    "en": "We found no guidance for this question: what follows rests on no source. Ask a health "
    "worker, at the health centre, the district hospital or the pharmacy.",
    "pcm": "We no see any guidance for this question: wetin follow no stand for any paper. Ask health "
    "worker, for health centre, district hospital or pharmacy.",
}

TRANSLATED = {
    "fr": "(Traduit par une machine.)",
    "en": "(Translated by a machine.)",
    "pcm": "(Na machine turn am for Pidgin.)",
}

CANNOT_SPEAK = {
    "fr": "Nous ne savons pas encore répondre en {language} : voici la réponse en français.",
    "en": "We cannot answer in {language} yet: here is the answer in English.",
    "pcm": "We no fit answer for {language} yet: see the answer for Pidgin.",
}

ALSO_IN = {
    "fr": "La même réponse en {language}, traduite par une machine et relue par personne :",
    "en": "The same answer in {language}, translated by a machine and checked by nobody:",
    "pcm": "The same answer for {language}, na machine turn am, nobody check am:",
}

UNRECOGNISED = (
    "Nous n'avons pas reconnu votre langue ; nous répondons en français, en anglais et en pidgin. / "
    "We did not recognise your language; we answer in French, English and Pidgin."
)

_ANSWER_IS_IN = {
    "fr": "La réponse qui suit est en {language} : nous n'avons pas pu la traduire.",
    "en": "The answer that follows is in {language}: we could not translate it.",
    "pcm": "The answer wey follow dey for {language}: we no fit turn am for Pidgin.",
}

_PART_IS_IN = {
    "fr": "(Une partie de cette réponse est en {language} : nous n'avons pas pu la traduire.)",
    "en": "(A part of this answer is in {language}: we could not translate it.)",
    "pcm": "(Some part for this answer dey for {language}: we no fit turn am.)",
}


def not_in_their_language(language: str, answer: str, *, after: bool = False) -> str:
    """What a patient who reads `language` is told of an answer in another one."""
    table = _PART_IS_IN if after else _ANSWER_IS_IN
    return say(table, language).format(language=name_of(answer, language))


def say(table: dict[str, str], language: str) -> str:
    """The sentence in that language, or in French."""
    return table.get(language, table["fr"])
