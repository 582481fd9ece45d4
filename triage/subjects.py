"""Who a message is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from triage.state import State
from triage.text import word_set

SELF = "self"

CHILDREN = {
    "child": "enfant enfants bebe bebes bb nourrisson gosse petit petite pikin pikins child "
    "children kid kids baby babies infant toddler newborn jumeau jumelle jumeaux twin twins "
    "puce bambin mioche nouveau neveu niece nephew",
    "son": "fils garcon son boy fiston",
    "daughter": "fille fillette daughter girl",
}
_RELATIVES = {
    "mother": "mere maman mami mama mother mum mom mater reme rem tantine",
    "father": "pere papa father dad daddy pater repe pa",
    "partner": "mari epoux femme epouse husband wife madame copine copain fiance fiancee "
    "boyfriend girlfriend nga partner",
    "sibling": "frere soeur brother sister sista broda grandfrere petitfrere reuf reus ress",
    "grandparent": "grandmere grandpere grandma grandpa grandmother grandfather mamie papi papy "
    "pepe meme",
    "other": "oncle tante uncle aunt aunty auntie cousin cousine voisin voisine neighbour neighbor "
    "ami amie friend collegue colleague patron boss pote gars mec man woman homme monsieur dame "
    "quelqu someone somebody personne patient patiente mbom mola vieux vieille beaupere bellemere "
    "eleve student passager client apprenti",
}
KIN: dict[str, str] = {
    word: key
    for table in (CHILDREN, _RELATIVES)
    for key, words in table.items()
    for word in words.split()
}
_OWNED = word_set(
    "mon ma mes my notre nos our votre ton ta your le la un une the a this cet cette ce his her "
    "son sa ca ses leur leurs their di dis petit petite grand grande wi we some "
    "premier premiere small big deuxieme 2eme jeune young"
)
_SELVES = word_set("je j i me moi m my mon ma mes")
_UNCLEAR = word_set(
    "il elle lui he she him her e it ils elles they son ses his leur leurs their yi"
)


@dataclass(frozen=True, slots=True)
class Mention:
    """Who is spoken of: a key such as `self`, `child`, `mother`; `None` where it is unclear.

    `at_first` is whom an unclear mention means where nobody was spoken of before.
    """

    key: str | None
    at_first: str = "other"


def mentioned(words: Sequence[str], *, pregnant: bool = False) -> Mention:
    """The first relative spoken of, a child before others; else the writer; else unclear.

    "39 since yesterday" names nobody: it is said of whoever was spoken of before.

    An unborn child is not the patient, so `pregnant` lets "the baby moves less" be the mother's.
    """
    kin = [key for i, word in enumerate(words) if (key := KIN.get(word)) and _is_person(words, i)]
    children = [key for key in kin if key in CHILDREN]
    others = [key for key in kin if key not in CHILDREN]
    if children and not pregnant:
        return Mention(children[0])
    if others:
        return Mention(others[0])
    known = set(words)
    if known & _SELVES:
        return Mention(SELF)
    return Mention(None, "other" if known & _UNCLEAR or not known else SELF)


def _is_person(words: Sequence[str], i: int) -> bool:
    """ "mon fils", not the "son" of "son bras"; "grand-mère" is not "mère"."""
    word = words[i]
    if word in ("son", "petit", "petite", "nouveau", "meme", "pa", "grand", "personne", "man"):
        return (
            i > 0
            and words[i - 1] in ("my", "mon", "ma", "our", "the", "your", "nouveau", "a", "old")
            and (
                word not in ("petit", "petite", "nouveau", "meme")
                or i + 1 == len(words)
                or words[i + 1] not in KIN
            )
        )
    return i == 0 or words[i - 1] in _OWNED or words[i - 1].isalpha()


_BEFORE_CLAUSE = word_set(
    ". , ? et and mais but then puis while tandis alors aussi also plus que dat"
)
_SPEAKS = word_set(
    "dit pense trouve croit say says said thinks think talk talks tell tells told veut demande "
    "wants asks ask calls appelle et and"
)
_OBJECTS = word_set("l la le m me him her am lui")
_UNBORN = ("child",)
_TOO = word_set("moi myself")


def parted(words: Sequence[str], *, pregnant: bool = False) -> Mapping[str, list[tuple[int, int]]]:
    """Stretches of words [first, after) by the patient each is told of; empty if it is one patient.

    A new patient is a relative with whom a clause begins ("…, sa sœur tousse") or the writer set
    against others ("et moi …"), not one who only says or does something. What stands before the
    first of them is theirs.
    """
    starts = [(i, key) for i in range(len(words)) if (key := _begins(words, i, pregnant))]
    if len({key for _, key in starts}) < 2:
        return {}
    ends = [first for first, _ in starts[1:]] + [len(words)]
    found: dict[str, list[tuple[int, int]]] = {}
    for n, ((first, key), after) in enumerate(zip(starts, ends, strict=True)):
        found.setdefault(key, []).append((first if n else 0, after))
    return found


def _begins(words: Sequence[str], i: int, pregnant: bool) -> str | None:
    """Whose clause begins at word `i`, if a patient's does."""
    if i and words[i - 1] not in _BEFORE_CLAUSE:
        return None
    if words[i] in _TOO:
        return SELF
    at = i
    while at < min(i + 3, len(words)) and words[at] not in KIN:
        if words[at] not in _OWNED:
            return None
        at += 1
    key = KIN.get(words[at]) if at < len(words) else None
    if key is None or (words[at] in _OWNED and words[at + 1 : at + 2] and words[at + 1] in KIN):
        key, at = (KIN.get(words[at + 1]), at + 1) if key else (None, at)
    if key is None or not _is_person(words, at) or (pregnant and key in _UNBORN):
        return None
    following = words[at + 1 : at + 3]
    if not _SPEAKS.isdisjoint(following) or (following and following[0] in _OBJECTS):
        return None
    return key


def resolve(mention: Mention, state: State, declared: Mapping[str, object] | None) -> list[str]:
    """Keys of the subjects it may be, the likeliest first.

    A child named neutrally is the child already spoken of. "Il" or "she" is whoever was spoken
    of last, and may be any other known subject: the caller takes the worse reading.
    """
    if declared and (key := declared.get("key") or _RELATIONS.get(str(declared.get("relation")))):
        return [str(key)]
    if mention.key is None:
        last = [state.last] if state.last else []
        if mention.at_first == SELF:
            return last or [SELF]
        others = [key for key in state.subjects if key != state.last and key != SELF]
        return last + others or [mention.at_first]
    if mention.key in CHILDREN and mention.key not in state.subjects:
        alike = [key for key in state.subjects if key in CHILDREN and _same(key, mention.key)]
        return alike[:1] or [mention.key]
    return [mention.key]


_RELATIONS = {"self": SELF, "child": "child", "other": "other"}


def _same(known: str, named: str) -> bool:
    return known == "child" or named == "child" or known == named
