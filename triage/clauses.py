"""How a sign stands in its clause: present, negated, past, asked about, supposed, not meant. Pure.

People type without punctuation, so clauses are guessed from pronouns and conjunctions too. In
doubt a sign is present: a negated word must never hide the danger sign beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise

from triage.reader import Found, Hit
from triage.text import word_set


class Standing(StrEnum):
    PRESENT = "present"
    NEGATED = "negated"
    PAST = "past"
    ASKED = "asked"
    SUPPOSED = "supposed"
    ELSEWHERE = "elsewhere"
    IDIOM = "idiom"


_SPOKEN_OF = (Standing.ASKED, Standing.SUPPOSED)
"""A sign told around an "if you" or "what if" is told of nobody, unless "that is me" comes after it."""
REACH = 5
"""How many words a negation reaches forward."""

_FULL_STOPS = frozenset(".?")
_BOUNDARIES = frozenset(".,?") | word_set("et and mais but")
_NEGATIONS = word_set(
    "pas no not sans without aucun aucune ni nor jamais never neva zero none nothing rien "
    "denies denied denie nie"
)
_DENIALS = word_set("denies denied denie nie")
_LIST_WORDS = word_set("ou or ni nor")
_CLAUSE_STARTS = word_set(
    "je j tu il elle on nous vous ils elles i you he she we they e mais but however because "
    "parce car puis then donc so alors and et maintenant now depuis since mon ma mes my his her "
    "son ca qui dat wey weh just only juste seulement sauf except"
)
_LIST_ENDS = _FULL_STOPS | _CLAUSE_STARTS - word_set("and et")
_LONGEST_LIST = 30
_AFTER_NEGATIONS = word_set("non no none absent absente negatif negative")
_NOT_ENDING = word_set(
    "arrete arretent cesse cessent finit arreter cesser finir stop stopping stopped stops fini "
    "termine passe passer baisse"
)
_NOT_KNOWING = word_set(
    "sais sait comprends comprend know understand pourquoi why sabi sure certain doute"
)
_NOT_ONLY = word_set("seulement only just que simplement small well bien fine good ok okay normal")
_BEFORE_VERBS = word_set(
    "je j il elle on ca tu ils elles me se s y en qui bebe enfant fils fille bb petit petite "
    "plaie mari femme papa maman pere mere"
)
_SUCH = word_set("aussi autant si such so like this comme pareil tellement")
_MORE = word_set("de d du des aucun aucune mal")
_SINCE = word_set("depuis since from for des")
_EVEN = word_set("meme even")
""" "Even if we shake her" supposes nothing."""
_ALIKE = word_set("pareil pareille comme same like")
_JOINTS = frozenset(("and", "et", ",", "then", "puis"))
_HERE = word_set("this these now la ce cette cet ces there here maintenant today aujourd tonight")
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
_MANNER = word_set("vite mal rapidement difficilement fast badly rapidly quickly heavily noisily")
_GOES_ON = word_set("a has have est is et and puis then now maintenant mais but il elle he she e i")


def judge(found: Found) -> list[tuple[Hit, Standing]]:
    """Every sign with how it stands."""
    words = found.words.words
    here = max((hit.first for hit in found.marks.get("here", ())), default=-1)
    scopes = [one for one in _scopes(found) if one[0] not in _SPOKEN_OF or one[1] >= here]
    return [(hit, _standing(hit, words, scopes)) for hit in found.signs]


def _standing(
    hit: Hit, words: Sequence[str], scopes: Sequence[tuple[Standing, int, int]]
) -> Standing:
    for standing, first, after in scopes:
        inside = first <= hit.first and hit.after <= after
        touched = first < hit.after and hit.first < after
        begins_within = touched and first > hit.first and standing in _SPOKEN_OF
        if inside or begins_within or (touched and standing is Standing.IDIOM):
            return standing
    return Standing.NEGATED if _negated(hit, words) else Standing.PRESENT


def _scopes(found: Found) -> Iterator[tuple[Standing, int, int]]:
    """Stretches of words in which signs are not here and now."""
    marks, words = found.marks, found.words.words
    for hit in marks.get("idiom", ()):
        yield Standing.IDIOM, hit.first, hit.after
    for hit in marks.get("laughs", ()):
        yield Standing.IDIOM, _left(words, hit.first, ()), _right(words, hit.after, ())
    yield from _denied_wholesale(found)
    if _only_general_questions(words):
        yield Standing.ASKED, 0, len(words)
    personal = [hit.first for hit in marks.get("personal", ())]
    turns = [hit.first for hit in (*marks.get("now", ()), *marks.get("but", ()))]
    for hit in marks.get("past", ()):
        if not _compares(words, hit.first):
            first = _left(words, hit.first, turns)
            told = any(first <= sign.first and sign.after <= hit.first for sign in found.signs)
            after = _right(words, hit.after, turns, told)
            yield Standing.PAST, first, _before_turn(words, hit.after, after)
    buts = [hit.first for hit in marks.get("but", ())]
    stops = personal + buts
    for hit in marks.get("purpose", ()):
        if not _denied_or_compared(words, hit.first):
            fronted = hit.first == 0 or words[hit.first - 1] in _BOUNDARIES
            yield Standing.ASKED, 0, _right(words, hit.after, stops) if fronted else hit.after
    for hit in marks.get("imagines", ()):
        yield Standing.SUPPOSED, hit.first, _right(words, hit.after, buts)
    greeted = {i for hit in marks.get("greeting", ()) for i in range(hit.first, hit.after)}
    for name, standing in (("asks", Standing.ASKED), ("supposes", Standing.SUPPOSED)):
        for hit in marks.get(name, ()):
            even = hit.first > 0 and words[hit.first - 1] in _EVEN
            if not even and hit.first not in greeted:  # "How work, doctor?" asks about no sign
                yield standing, hit.first, _right(words, hit.after, stops)
    for hit in marks.get("price", ()):
        yield Standing.ASKED, hit.first, _right(words, hit.after, stops, clause_only=True)
    for hit in marks.get("asks_after", ()):
        if not _NEGATIONS.isdisjoint(words[max(hit.first - 2, 0) : hit.first]):
            continue  # "no vaccine": what is lacking is not asked about
        yield Standing.ASKED, _left(words, hit.first, stops), _right(words, hit.after, stops)
    for hit in marks.get("elsewhere", ()):
        if not _denied_or_compared(words, hit.first):
            first, after = _left(words, hit.first, stops), _right(words, hit.after, stops)
            yield Standing.ELSEWHERE, first, after


def _denied_wholesale(found: Found) -> Iterator[tuple[Standing, int, int]]:
    """ "None of these: …" denies to the end of the sentence or a "but"; "…: none of those" denies
    what stands before it, over a question mark too ("Convulsions? None of that.")."""
    marks, words = found.marks, found.words.words
    buts = [hit.first for hit in marks.get("but", ())]
    for hit in marks.get("denies_all", ()):
        yield Standing.NEGATED, hit.first, _right(words, hit.after, buts)
    for hit in marks.get("denied_all", ()):
        first = _left(words, hit.first, buts)
        if not any(first <= sign.first < hit.first for sign in found.signs) and first > 0:
            first = _left(words, first - 1, buts)
        yield Standing.NEGATED, first, hit.after


def _only_general_questions(words: Sequence[str]) -> bool:
    """ "Is cholera contagious?": in no question is anybody named, nor now, nor a number."""
    first, asked = 0, False
    for i, word in enumerate(words):
        if word in _FULL_STOPS:
            if word != "?" or not _asks_in_general(words[first:i]):
                return False
            first, asked = i + 1, True
    return asked and first == len(words)


def _asks_in_general(said: Sequence[str]) -> bool:
    if not said or any(word.isdigit() for word in said):
        return False
    named = _NAMED
    if said[0] in _ARTICLES:
        if not any(pair in _INVERTED for pair in pairwise(said)):
            return False
        named = _NAMED - _INVERTING
    elif said[0] not in _QUESTION_WORDS:
        return False
    return named.isdisjoint(said)


def _denied_or_compared(words: Sequence[str], first: int) -> bool:
    """ "This is not a joke", "as in the film": what is told is told of here and now."""
    before = words[max(first - 4, 0) : first]
    return not _ALIKE.isdisjoint(before) or not _NEGATIONS.isdisjoint(before)


def _left(words: Sequence[str], start: int, stops: Sequence[int]) -> int:
    nearest = max((stop for stop in stops if stop < start), default=0)
    for i in range(start - 1, nearest - 1, -1):
        if words[i] in _FULL_STOPS:
            return i + 1
    return nearest


def _right(
    words: Sequence[str], start: int, stops: Sequence[int], clause_only: bool = False
) -> int:
    """As far as the sentence goes; or only the clause, where a sign stands before already."""
    nearest = min((stop for stop in stops if stop >= start), default=len(words))
    for i in range(start, nearest):
        ends_clause = clause_only and (words[i] == "," or words[i] in _GOES_ON)
        if words[i] in _FULL_STOPS or ends_clause:
            return i
    return nearest


def _before_turn(words: Sequence[str], start: int, after: int) -> int:
    """ "It was in 2016 and this pain": what is pointed at after "and" or a comma is here."""
    for i in range(start, after - 1):
        if words[i] in _JOINTS and words[i + 1] in _HERE:
            return i
    return after


def _compares(words: Sequence[str], first: int) -> bool:
    """ "Since 2019", "the same as back then": told of now."""
    before = words[max(first - 4, 0) : first]
    since = bool(before) and before[-1] in _SINCE and not _pidgin_year(words, first)
    return since or not _ALIKE.isdisjoint(before)


def _pidgin_year(words: Sequence[str], i: int) -> bool:
    """ "For 2012" is Pidgin for "in 2012"."""
    return words[i - 1] == "for" and words[i].isdigit()


def _negated(hit: Hit, words: Sequence[str]) -> bool:
    if _denied_after(hit, words):
        return True
    if hit.negating:
        return hit.after < len(words) and words[hit.after] in _MANNER
    if hit.after < len(words) and words[hit.after] == "pas" and _ends_clause(words, hit.after):
        return True
    if _verb_denied(hit, words):
        return True
    inside = words[hit.first : hit.after]
    if any(word in _NEGATIONS and _denies(words, hit.first + i) for i, word in enumerate(inside)):
        return True
    return _denied_before(hit.first, words)


def _ends_clause(words: Sequence[str], i: int) -> bool:
    """ "la tête me fait mal pas, ..." denies; in "mal à la tête pas dormi" a new thought begins."""
    return i + 1 == len(words) or words[i + 1] in _BOUNDARIES


def _denied_before(first: int, words: Sequence[str]) -> bool:
    for i in range(first - 1, max(first - 1 - REACH, -1), -1):
        word = words[i]
        if word in _NEGATIONS or (
            word == "plus" and words[i + 1] in _MORE and words[i - 1] != "de"
        ):
            return _denies(words, i)
        if word == ",":
            if not _is_list(words, i, first):
                return _in_denied_list(words, i)
        elif word in _FULL_STOPS or word in _CLAUSE_STARTS:
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
        if word in _FULL_STOPS or word in _CLAUSE_STARTS:
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
