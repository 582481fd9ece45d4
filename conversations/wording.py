"""Carehelp's own sentences, in French, English and Pidgin: what no model and no source says.

Not clinically reviewed. French first; a language that is missing reads the French.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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


def say(table: dict[str, str], language: str) -> str:
    """The sentence in that language, or in French."""
    return table.get(language, table["fr"])
