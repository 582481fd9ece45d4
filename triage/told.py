"""Where a message turns to what somebody has: "how much is it, my wife is bleeding". Pure.

People ask, remember and suppose in the sentence in which they tell; what they tell is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile

from triage.subjects import KIN
from triage.text import word_set

_JOINTS = frozenset(".,?") | word_set(
    "and et mais but because car puis then so donc alors now maintenant"
)
_FRENCH = word_set("je j il elle ils elles")
_PLAINLY = word_set("is am are isnt cannot wants want est sont")
_WRITERS = word_set("i je j we")
_OTHERS = word_set("il elle ils elles he she they e dem yi ca")
_OWN = word_set("my mon ma mes our notre nos")
_ARTICLES = word_set("the le la l les")
_DETERMINED = _OWN | _ARTICLES | word_set("his her son sa leur their this ce cet cette di")
_ANYBODY = word_set("someone somebody anyone anybody person people one quelqu personne gens on man")
"""Whoever "he" is in their sentence is nobody in particular, as after "a child"."""
_ONE = word_set("un une a an")
_TELLS_NOTHING = word_set(
    "faut y peut can could should will would do does must might need cherche demande wonder"
)
"""After a pronoun: "il faut", "il y a"; what somebody can, must or wants to know."""
_PAST = word_set(
    "was were had did got went bin used felt fell came said saw lost took "
    "avait avais avaient avions etait etais etaient eu ete fut don"
)
_HAVE = word_set("a ai ont avons")
_SOMETHING = word_set("la le les l un une des du de d mal tres trop encore toujours")
""" "Il a la bouche tordue", not "il a convulsé"."""
_AFTER = word_set("after afta apres")
_HARMED = word_set(
    "mordu mordue pique piquee viole violee frappe frappee battu battue agresse agressee griffe "
    "griffee force forcee blesse blessee coupe coupee poignarde poignardee empoisonne renverse "
    "bit bitten bite raped rape beat beats beaten hit stabbed attacked scratched stung chook poisoned"
)
_EXPOSED = word_set(
    "rape raped viol bite bites bitten morsure griffure agression condom capote preservatif"
)
_KEPT_AWAY = word_set("eviter evite evites evitez prevent avoid prevenir empecher stop attraper")
_MOST_TOLD = 7
_IMPERFECT = ("ais", "ait", "aient")
_NOT_IMPERFECT = word_set("fais fait sais sait vais plait mais tais tait nait")


def clauses(words: Sequence[str]) -> Iterator[int]:
    """Where clauses begin in which somebody is told of."""
    for i in range(len(words)):
        begins = i == 0 or words[i - 1] in _JOINTS
        if (begins and tells(words, i)) or harms(words, i):
            yield i


def harms(words: Sequence[str], i: int) -> bool:
    """Whether what begins at `i` was done to the writer ("a dog bit me", "après qu'il m'a violée"), or is
    what somebody wants to be kept from the harm of ("how to prevent HIV after rape").
    """
    after = i > 0 and words[i - 1] in _AFTER
    if after and not _KEPT_AWAY.isdisjoint(words[:i]) and not _EXPOSED.isdisjoint(words[i : i + 4]):
        return True
    if not (after or i == 0 or words[i - 1] in _JOINTS):
        return False
    said = list(takewhile(lambda word: word not in _JOINTS, words[i : i + _MOST_TOLD]))
    done = any(one in _HARMED and other == "me" for one, other in pairwise(said))
    return done or any(
        one in ("m", "me") and not _HARMED.isdisjoint(said[at + 1 : at + 3])
        for at, one in enumerate(said)
    )


def tells(words: Sequence[str], i: int) -> bool:
    """Whether what begins at word `i` says something of somebody."""
    at = _subject(words, i)
    return i < at < len(words) and words[at] not in _TELLS_NOTHING and words[at] not in _JOINTS


def of_now(words: Sequence[str], i: int) -> bool:
    """Whether a clause that begins at `i` is not told in a past tense."""
    at = _subject(words, i)
    verb, following = words[at], words[at + 1 : at + 2]
    if verb in _PAST or verb.endswith("ed"):
        return False
    if verb.endswith(_IMPERFECT) and verb not in _NOT_IMPERFECT:
        return False
    return verb not in _HAVE or not following or following[0] in _SOMETHING


def plainly_now(words: Sequence[str], i: int) -> bool:
    """Whether what begins at `i` can be of no other time (Pidgin's "e drink" can), nor of "the man"
    of a film."""
    if words[i] in _ARTICLES or not tells(words, i) or not of_now(words, i):
        return False
    return words[i] in _FRENCH or words[_subject(words, i)] in _PLAINLY


def of_nobody(words: Sequence[str], first: int, after: int) -> bool:
    """Whether "he" after this stretch may be somebody in general."""
    said = words[first:after]
    return not _ANYBODY.isdisjoint(said) or any(
        one in _ONE and other in KIN for one, other in pairwise(said)
    )


def of_writer(words: Sequence[str], i: int) -> bool:
    return words[i] in _WRITERS


def of_others(words: Sequence[str], i: int) -> bool:
    return words[i] in _OTHERS


def _subject(words: Sequence[str], i: int) -> int:
    """Where the subject that begins at `i` ends; `i` where none does."""
    if words[i] in _WRITERS or words[i] in _OTHERS:
        return i + 1
    at = i + (words[i] in _DETERMINED)
    if at < len(words) and words[at] in KIN:
        return at + 1
    return at + 1 if words[i] in _OWN else i
