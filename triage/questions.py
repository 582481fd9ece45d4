"""Questions in which nobody is ill: "Is cholera contagious?". Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from triage.knowledge import asks_to_know
from triage.negation import FULL_STOPS
from triage.subjects import CHILDREN, KIN
from triage.text import word_set
from triage.told import harms

_QUESTION_WORDS = word_set(
    "is are does do can could should must may might will would how what which why when where who "
    "est faut peut doit quand comment combien pourquoi quel quelle quels quelles que qu qui wetin"
)
_ARTICLES = word_set("le la les l un une des")
_INVERTING = word_set("il elle ils elles")
_INVERTED = frozenset(
    (verb, pronoun)
    for verb in ("est", "sont", "peut", "peuvent", "vient", "rend", "t")
    for pronoun in _INVERTING
)
_NAMED = word_set(
    "i im me my mine myself we our us you your he she it him her his hers they them their this that "
    "these am e je j m moi mon ma mes nous notre nos vous votre tu te ton ta tes il elle ils elles "
    "on lui leur leurs son sa ca ses ce cet cette ces dem una wuna normal normale "
    "now today tonight yesterday since already still again just maintenant aujourd hier depuis deja "
    "encore vient vite quickly wait attendre attend rester stay demain tomorrow soir nuit night "
    "mari femme epoux epouse husband wife papa maman mama mum mom dad mother father mere pere brother "
    "sister frere soeur fils fille son daughter uncle aunt oncle tante voisin voisine neighbour "
    "friend ami amie copain copine collegue colleague mater pater sista broda help aide"
)
"""Who and when there is in a question about somebody who needs help."""
_THE = word_set("the le la l")
_REMEDIES = word_set(
    "remede remedes medicament medicaments medicine medicines treatment traitement traiter traite "
    "treat soigner soigne stop arreter contre give donner wake reveiller hopital hospital consulter consult"
)
_OWN = word_set("my mon ma mes our notre")
_WHO = word_set("who qui wey weh that")
_I_HAVE = frozenset((("j", "ai"), ("i", "have"), ("i", "am"), ("que", "je"), ("que", "j")))
_NOT_WHAT = word_set(
    "if when do should can what how why where si quand and et mais but ce il faut parce pour avant"
)
"""Before "I have" or "que je": not "the pain I have"."""
_WHY = word_set("why pourquoi")
_DEATH = frozenset(
    (
        ("pour", "mourir"),
        ("to", "die"),
        ("for", "die"),
        ("me", "tuer"),
        ("kill", "me"),
        ("kill", "myself"),
    )
)
""""How much bleach to die?" asks for oneself."""
_GOING_ON = frozenset((("not", "stop"), ("arrete", "pas"), ("no", "stop"), ("sans", "arret")))


def only_general(words: Sequence[str]) -> bool:
    """In no question is anybody named, nor now, nor a number, nor is help sought for somebody; or it
    asks how an illness is kept away, which needs no question mark."""
    if any(harms(words, i) for i in range(len(words))) or not _DEATH.isdisjoint(pairwise(words)):
        return False
    if asks_to_know(words):
        return True
    first, asked = 0, False
    for i, word in enumerate(words):
        if word in FULL_STOPS:
            said = words[first:i]
            if not (asks_to_know(said) or (word == "?" and _in_general(said))):
                return False
            first, asked = i + 1, True
    return asked and first == len(words)


def _in_general(said: Sequence[str]) -> bool:
    if not said or any(word.isdigit() for word in said) or seeks_help(said):
        return False
    if any(one in _THE and KIN.get(other) in CHILDREN for one, other in pairwise(said)):
        return False
    named = _NAMED
    if said[0] in _ARTICLES:
        if not any(pair in _INVERTED for pair in pairwise(said)):
            return False
        named = _NAMED - _INVERTING
    elif said[0] not in _QUESTION_WORDS:
        return False
    return named.isdisjoint(said)


def seeks_help(said: Sequence[str]) -> bool:
    """ "What do I give a child who convulses?", "why can my …", "the pain I have": somebody has it."""
    pairs = list(pairwise(said))
    if any(pair in _I_HAVE and said[i - 1] not in _NOT_WHAT for i, pair in enumerate(pairs) if i):
        return True
    if any(word in _WHY and not _OWN.isdisjoint(said[i:]) for i, word in enumerate(said)):
        return True
    at = next((i for i, word in enumerate(said) if word in _REMEDIES), None)
    if at is None:
        return False
    rest = said[at + 1 :]
    if any(word in _OWN or word.isdigit() for word in rest):
        return True
    if any(pair in _GOING_ON for pair in pairwise(rest)):
        return True
    return any((one in KIN or one == "un") and other in _WHO for one, other in pairwise(rest))
