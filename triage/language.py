"""Which of the languages that triage reads a text is in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from triage.text import word_set

_FUNCTION_WORDS = {
    "fr": "je j tu il elle on nous vous ils elles le la les un une des du de d mon ma mes son sa "
    "ca ses notre est sont ai as a ont suis avoir etre pas plus et ou mais que qui quoi dans sur "
    "avec pour sans au aux depuis hier fait faire peut peux veut tres bien mal c y en se ne quel "
    "quelle comment pourquoi quand bonjour merci docteur ce cette enfant bebe fils fille femme "
    "mari ventre tete corps jours mois semaine semaines fievre",
    "en": "i you he she we they the a an my his her our is are was were am be been have has had "
    "do does did not and or but that which what in on with for without to of from since "
    "yesterday very well it its this these when why how can cannot could should would will hello "
    "thanks doctor child baby son daughter wife husband days months weeks after before some his "
    "there been just fever pain",
    "pcm": "dey di wey weh no fit na don wetin weti dem abeg i e ma pikin belle bele skin hot "
    "chop sabi waka go come small since pipo for una wuna man pass bad too much plenty taim time "
    "how mek make we one dat dis ya yi so say sey get massa mami doki dokta bodi body hia wan "
    "neva still commot comot shake hat hed wata tok fall foot hand",
}
_CLUES: dict[str, dict[str, float]] = {}
for _language, _words in _FUNCTION_WORDS.items():
    for _word in _words.split():
        _CLUES.setdefault(_word, {})[_language] = 1.0
_ONLY_PIDGIN = word_set(
    "dey di wey weh wetin weti don abeg pikin dem una wuna neva bodi hed hat dokta sey sabi belle "
    "bele comot"
)
_CLUES |= {word: {"pcm": 3.0} for word in _ONLY_PIDGIN}
LANGUAGES = tuple(_FUNCTION_WORDS)


def detect(words: Sequence[str], default: str = "fr") -> str:
    """`fr`, `en` or `pcm`; `default` when nothing tells."""
    scores: dict[str, float] = {}
    for word in words:
        for language, weight in _CLUES.get(word, {}).items():
            scores[language] = scores.get(language, 0.0) + weight
    return max(LANGUAGES, key=lambda language: scores.get(language, 0.0)) if scores else default


def pick(texts: Mapping[str, str], language: str, order: Iterable[str] = ("en", "fr")) -> str:
    """The text in this language; Pidgin falls back to English, anything else to French."""
    if language in texts:
        return texts[language]
    for other in order if language == "pcm" else ("fr", "en"):
        if other in texts:
            return texts[other]
    return ""
