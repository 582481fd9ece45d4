"""Whether a "not" denies a sign: "no fever", "il saigne pas", "chest pain: no". Pure."""

from __future__ import annotations

from collections.abc import Sequence

from triage.reader import Hit
from triage.text import word_set

REACH = 5
"""How many words a negation reaches forward."""

FULL_STOPS = frozenset(".?")
NEGATIONS = word_set(
    "pas no not sans without aucun aucune ni nor jamais never neva zero none nothing rien "
    "denies denied denie nie"
)
BOUNDARIES = frozenset(".,?") | word_set("et and mais but")
_DENIALS = word_set("denies denied denie nie")
_LIST_WORDS = word_set("ou or ni nor")
_CLAUSE_STARTS = word_set(
    "je j tu il elle on nous vous ils elles i you he she we they e mais but however because "
    "parce car puis then donc so alors and et maintenant now depuis since mon ma mes my his her "
    "son ca qui dat wey weh just only juste seulement sauf except"
)
_LIST_ENDS = FULL_STOPS | _CLAUSE_STARTS - word_set("and et")
_LONGEST_LIST = 30
_AFTER_NEGATIONS = word_set("non no none absent absente negatif negative")
_NOT_ENDING = word_set(
    "arrete arretent cesse cessent finit arreter cesser finir stop stopping stopped stops fini "
    "termine passe passer baisse"
)
_NOT_CALMING = _NOT_ENDING | word_set(
    "calme calment calmer calm calms soulage soulagent soulager helps reduces relieves controls"
)
_NOTHING = word_set("no aucun aucune none rien nothing ni nor not pas")
_NOT_KNOWING = word_set(
    "sais sait comprends comprend know understand pourquoi why sabi sure certain doute"
)
_WHY = word_set("pourquoi why")
_NOT_ONLY = word_set("seulement only just que simplement small well bien fine good ok okay normal")
_BEFORE_VERBS = word_set(
    "je j il elle on ca tu ils elles me se s y en qui bebe enfant fils fille bb petit petite "
    "plaie mari femme papa maman pere mere"
)
_SUCH = word_set("aussi autant si such so like this comme pareil tellement")
_MORE = word_set("de d du des aucun aucune mal")
_MANNER = word_set("vite mal rapidement difficilement fast badly rapidly quickly heavily noisily")


def negated(hit: Hit, words: Sequence[str]) -> bool:
    if _denied_after(hit, words):
        return True
    if hit.negating:
        return hit.after < len(words) and words[hit.after] in _MANNER
    if hit.after < len(words) and words[hit.after] == "pas" and _ends_clause(words, hit.after):
        return True
    if _verb_denied(hit, words):
        return True
    inside = words[hit.first : hit.after]
    if any(word in NEGATIONS and _denies(words, hit.first + i) for i, word in enumerate(inside)):
        return True
    return _denied_before(hit.first, words)


def takes_nothing_away(words: Sequence[str], first: int, after: int) -> bool:
    """ "No medicine stops the convulsions", "none of us knows why": what comes after is there."""
    between = words[first + 1 : after]
    if not _NOT_CALMING.isdisjoint(between):
        return words[first] in _NOTHING
    return not _WHY.isdisjoint(between)


def _ends_clause(words: Sequence[str], i: int) -> bool:
    """ "la tête me fait mal pas, ..." denies; in "mal à la tête pas dormi" a new thought begins."""
    return i + 1 == len(words) or words[i + 1] in BOUNDARIES


def _denied_before(first: int, words: Sequence[str]) -> bool:
    for i in range(first - 1, max(first - 1 - REACH, -1), -1):
        word = words[i]
        if word in NEGATIONS or (word == "plus" and words[i + 1] in _MORE and words[i - 1] != "de"):
            return _denies(words, i) and not takes_nothing_away(words, i, first)
        if word == ",":
            if not _is_list(words, i, first):
                return _in_denied_list(words, i)
        elif word in FULL_STOPS or word in _CLAUSE_STARTS:
            return False
    return _in_denied_list(words, first)


def _in_denied_list(words: Sequence[str], first: int) -> bool:
    """ "Denies fever, chills, back pain, weight loss": a clinician's list goes on to its end."""
    for i in range(first - 1, max(first - 1 - _LONGEST_LIST, -1), -1):
        if words[i] in _DENIALS:
            return True
        if words[i] in _LIST_ENDS:
            return False
    return False


def _is_list(words: Sequence[str], comma: int, first: int) -> bool:
    """ "no fever, chills or vomiting": an "or" within reach of the comma carries the "no" on."""
    for word in words[comma + 1 : first + REACH]:
        if word in _LIST_WORDS:
            return True
        if word in FULL_STOPS or word in _CLAUSE_STARTS:
            return False
    return False


def _denies(words: Sequence[str], i: int) -> bool:
    """Whether this "not" denies what follows: not so in "n'arrête pas de", "not only", "no fit"."""
    before = words[i - 1] if i else ""
    following = words[i + 1] if i + 1 < len(words) else ""
    if words[i] in ("pas", "not", "no") and (before in _NOT_ENDING or before in _NOT_KNOWING):
        return False
    if following in _NOT_ENDING or following in _NOT_KNOWING or following in _NOT_ONLY:
        return False
    if following == "fit" or (following in ("di", "dey", "de", "be") and _not_only_so(words, i)):
        return False
    if words[i] in ("jamais", "never", "neva"):
        return not any(word in _SUCH for word in words[i + 1 : i + 5])
    return True


def _not_only_so(words: Sequence[str], i: int) -> bool:
    """Pidgin "e no dey stop", "e no be small"."""
    return any(word in _NOT_ENDING or word == "small" for word in words[i + 2 : i + 3])


def _verb_denied(hit: Hit, words: Sequence[str]) -> bool:
    """French puts "pas" behind its verb: "il saigne pas", but not "mal au ventre pas de fièvre"."""
    if hit.first == 0 or words[hit.first - 1] not in _BEFORE_VERBS or hit.after >= len(words):
        return False
    following = words[hit.after + 1] if hit.after + 1 < len(words) else ""
    return words[hit.after] in ("pas", "plus", "jamais") and following not in _MORE


def _denied_after(hit: Hit, words: Sequence[str]) -> bool:
    """ "fièvre : non", "chest pain no", "fever no dey" at the end of a clause."""
    if hit.after >= len(words) or words[hit.after] not in _AFTER_NEGATIONS:
        return False
    end = hit.after + 1
    if not hit.negating and words[end : end + 1] in (("dey",), ("de",), ("di",)):
        end += 1
        end += 2 * (tuple(words[end : end + 2]) == ("at", "all"))
    return end == len(words) or words[end] in ".,?"
