"""Carehelp's own sentences, in French, English and Pidgin: what no model and no source says.

Not clinically reviewed. French first; a language that is missing reads the French.
"""

from __future__ import annotations

LANGUAGES = ("fr", "en", "pcm")

DISCLAIMER = {
    "fr": "Carehelp informe, mais ne remplace pas un soignant. En cas de danger, allez tout de "
    "suite à l'hôpital le plus proche.",
    "en": "Carehelp informs; it does not replace a health worker. If there is danger, go to the "
    "nearest hospital at once.",
    "pcm": "Carehelp di give information, e no fit take doctor place. If danger dey, go nearest "
    "hospital quick quick.",
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


def say(table: dict[str, str], language: str) -> str:
    """The sentence in that language, or in French."""
    return table.get(language, table["fr"])
