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
LANGUAGES = tuple(_FUNCTION_WORDS)
_ONE = {language: 1 << 16 * i for i, language in enumerate(LANGUAGES)}
_CLUES: dict[str, int] = {}
"""What a word says for each language: sixteen bits each, so that one addition adds them all."""
for _language, _words in _FUNCTION_WORDS.items():
    for _word in set(_words.split()):
        _CLUES[_word] = _CLUES.get(_word, 0) + _ONE[_language]
_ONLY_PIDGIN = word_set(
    "dey di wey weh wetin weti don abeg pikin dem una wuna neva bodi hed hat dokta sey sabi belle "
    "bele comot"
)
_CLUES |= dict.fromkeys(_ONLY_PIDGIN, 3 * _ONE["pcm"])


def detect(words: Sequence[str], default: str = "fr") -> str:
    """`fr`, `en` or `pcm`; `default` when nothing tells."""
    total = sum([_CLUES[word] for word in words if word in _CLUES])
    if not total:
        return default
    return max(LANGUAGES, key=lambda language: total // _ONE[language] & 0xFFFF)


def pick(texts: Mapping[str, str], language: str, order: Iterable[str] = ("en", "fr")) -> str:
    """The text in this language; Pidgin falls back to English, anything else to French."""
    if language in texts:
        return texts[language]
    for other in order if language == "pcm" else ("fr", "en"):
        if other in texts:
            return texts[other]
    return ""
