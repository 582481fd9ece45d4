"""An answer without a model: what in our guidance answers the question, cited.

Who asks for one fact reads the sentences that tell it first, then the section that fits and when to go
for care; who asks for none, the section and when to go.

Nothing is made up here: the sentences are a document's own, between a few frame sentences that say
where they come from. Where nothing fits, the answer says so and gives the way to care.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from conversations.wording import say
from rag.intent import asks, sections_asked
from rag.kinds import kind_asked
from rag.search import GUIDANCE, RELEVANT, Passage
from rag.sentences import SURE, Told, answering, units

LONGEST = 120
"""Words in a composed answer, the advice included."""

BRIEF = 60
"""The same for those who pay by the byte."""

SHORTEST_EXTRACT = 15
TOLD = ("steps", "when_to_go", "home_care")
"""What answers somebody who asks nothing and only tells what is wrong."""

LEAST_BESIDE = 12
"""Words that are worth adding to sentences that answer already."""

_NUMBER = re.compile(r"\[(\d+)\]")

FROM_GUIDANCE = {
    "fr": "D'après nos fiches, sans modèle d'IA{why} ({review}) :",
    "en": "From our guidance, without an AI model{why} ({review}):",
    "pcm": "From we own guidance, no AI model inside{why} ({review}):",
}
SIGNED = {
    "fr": "relues par un clinicien",
    "en": "reviewed by a clinician",
    "pcm": "doctor don check am",
}
UNSIGNED = {
    "fr": "non relues par un clinicien",
    "en": "not reviewed by a clinician",
    "pcm": "doctor never check am",
}
WHY = {
    "no_consent": {
        "fr": ", comme vous l'avez choisi",
        "en": ", as you chose",
        "pcm": ", as you choose am",
    },
    "minor": {
        "fr": ", car il s'agit d'un mineur",
        "en": ", because this is about a minor",
        "pcm": ", because na pikin matter",
    },
}
UNCLEAR = {
    "fr": "En cas de signe de danger (respiration difficile, convulsions, perte de connaissance, "
    "saignement abondant, bébé qui ne tète plus), allez tout de suite à l'hôpital le plus proche.",
    "en": "With any danger sign (hard to breathe, fits, fainting, heavy bleeding, a baby who no longer "
    "feeds), go to the nearest hospital at once.",
    "pcm": "If danger sign dey (breathing hard, body di shake, person faint, plenty blood, baby no fit "
    "suck), go nearest hospital quick quick.",
}
"""In place of the advice to say it in other words, where it was clear enough to be answered."""

BUT = {
    "fr": "{lacking} ; voici ce qu'elles disent.",
    "en": "{lacking}; this is what it says.",
    "pcm": "{lacking}; na this e talk.",
}
"""After the frame's colon: what was asked and is not in what was found."""

IN_ENGLISH = "The paper dey for English only."
IN_FRENCH = "The paper dey for French only."
OTHER_LANGUAGE = {
    "fr": "Cette fiche n'existe qu'en anglais.",
    "en": "This guidance exists in French only.",
}
NOTHING = {
    "fr": "Nous n'avons trouvé dans nos fiches rien qui réponde à votre question, et aucun modèle "
    "d'IA n'y a répondu. Parlez-en à un soignant : au centre de santé, à l'hôpital de district ou à "
    "la pharmacie. En cas de signe de danger (respiration difficile, convulsions, perte de "
    "connaissance, saignement abondant, bébé qui ne tète plus), allez tout de suite à l'hôpital le "
    "plus proche.",
    "en": "We found nothing in our guidance that answers your question, and no AI model answered it. "
    "Ask a health worker: at the health centre, the district hospital or the pharmacy. With any "
    "danger sign (hard to breathe, fits, fainting, heavy bleeding, a baby who no longer feeds), go "
    "to the nearest hospital at once.",
    "pcm": "We no see anything for we guidance wey fit answer your question, and no AI model answer "
    "am. Ask health worker: for health centre, district hospital or pharmacy. If danger sign dey "
    "(breathing hard, body di shake, person faint, plenty blood, baby no fit suck), go nearest "
    "hospital quick quick.",
}


@dataclass(frozen=True, slots=True)
class Composed:
    """The answer, and the passages that its numbers [1], [2] stand for, in order."""

    text: str
    cited: list[Passage]


def compose(
    question: str,
    passages: Sequence[Passage],
    *,
    language: str,
    reason: str | None = None,
    advice: str = "",
    unclear: bool = False,
    longest: int = LONGEST,
) -> Composed:
    """Answer from `passages` alone, at most `longest` words.

    `reason` is why no model answered; `advice` is what triage says, which comes first and whole.
    `unclear`: it says that triage did not understand. A question that guidance was found for was clear
    enough: the danger signs then stand in few words. Who tells what is wrong gets them all.
    """
    guidance = [p for p in passages if p.kind == GUIDANCE]
    kind = kind_asked(question)
    told = answering(question, kind, guidance) if kind else []
    best = next((p for p in guidance if p.score >= RELEVANT), None)
    if best is None and told and told[0].score >= SURE:
        best = told[0].passage
    if best is None:
        return Composed(_paragraphs(advice, say(NOTHING, language)), [])
    if unclear and (asks(question) or kind):
        advice = say(UNCLEAR, language)
    topic = [p for p in guidance if p.topic == (told[0].passage.topic if told else best.topic)]
    first = told[0].passage if told else _fitting(question, topic)
    lacking = "" if told or kind is None else say(kind.lacking, language) if kind.lacking else ""
    frame = _frame(first, language, reason, lacking)
    room = max(SHORTEST_EXTRACT, longest - _words(advice) - _words(frame) - 2)
    parts = _told_first(question, told, topic, room) if told else _section(first, topic, room)
    return _numbered(advice, frame, parts)


Part = tuple[Passage, str]
"""Words of a passage, as they stand in it."""


def _numbered(advice: str, frame: str, parts: Sequence[Part]) -> Composed:
    """Each part with the number of its passage; parts of one passage share it and a paragraph."""
    cited: list[Passage] = []
    paragraphs: list[str] = []
    for passage, text in parts:
        if cited and cited[-1] is passage:
            paragraphs[-1] += f" {text} [{len(cited)}]"
            continue
        if passage not in cited:
            cited.append(passage)
        paragraphs.append(f"{text} [{cited.index(passage) + 1}]")
    return Composed(_paragraphs(advice, frame, *paragraphs), cited)


def _section(first: Passage, topic: Sequence[Passage], room: int) -> list[Part]:
    """The section that was asked for, and when to go."""
    second = _beside(first, topic)
    extract, addition = _shared(first, second, room)
    return [(first, extract), *([(second, addition)] if second and addition else [])]


def _told_first(
    question: str, told: Sequence[Told], topic: Sequence[Passage], room: int
) -> list[Part]:
    """The sentences that answer, then what fits of the section that was asked for, and when to go."""
    said = _joined(told, room)
    room -= sum(_words(text) + 1 for _, text in said)
    known = {unit.strip() for _, text in said for unit in units(text)}
    beside = [_fitting(question, topic), _first(["when_to_go"], topic)]
    rest = [_without(p, known) for p in {p.id: p for p in beside if p}.values()]
    if room < LEAST_BESIDE or not rest:
        return said
    last = rest[-1] if len(rest) > 1 else None
    extract, addition = _shared(rest[0], last, room)
    parts = [(rest[0], extract)] if _words(extract) >= LEAST_BESIDE or not addition else []
    parts += [(last, addition)] if last and addition else []
    originals = {p.id: p for p in topic}
    return said + [(originals[p.id], text) for p, text in parts if text and text != "…"]


def _joined(told: Sequence[Told], room: int) -> list[Part]:
    """As many as there is room for; neighbours in a passage in their order and as one."""
    parts: list[Part] = []
    before: Told | None = None
    for one in told:
        text = _NUMBER.sub(r"(\1)", one.text)
        if parts and sum(_words(said) for _, said in parts) + _words(text) > room:
            break
        if before and before.passage is one.passage and one.place == before.place + 1:
            parts[-1] = (one.passage, f"{parts[-1][1]} {text}")
        elif _words(text) > room:
            parts.append((one.passage, _cut(text, room)))
        else:
            parts.append((one.passage, text))
        before = one
    return parts


def _without(passage: Passage, known: set[str]) -> Passage:
    """The passage from the first sentence on that was not told yet, as far as it goes on unbroken."""
    kept: list[str] = []
    for unit in units(own_words(passage)):
        if unit.strip() not in known:
            kept.append(unit)
        elif kept:
            break
    return replace(passage, text="".join(kept))


def _fitting(question: str, topic: Sequence[Passage]) -> Passage:
    """The section that was asked for; where none was, what fits the question best.

    Somebody who only tells what is wrong is told what to do at once, or when to go for care.
    """
    sections = sections_asked(question) or (() if asks(question) else TOLD)
    whole = [p for p in topic if p.section != "facts"]
    return _first(sections, topic) or (whole or topic)[0]


def _beside(first: Passage, topic: Sequence[Passage]) -> Passage | None:
    """When to go for care belongs to every answer."""
    return _first(["home_care"] if first.section == "when_to_go" else ["when_to_go"], topic)


def _first(sections: Sequence[str], topic: Sequence[Passage]) -> Passage | None:
    found = (p for section in sections for p in topic if p.section == section)
    return next(found, None)


def _shared(first: Passage, second: Passage | None, room: int) -> tuple[str, str]:
    """What fits of both: the second has a place before the end of the first has, but steps of first
    aid are told to the end.
    """
    said, also = own_words(first), own_words(second) if second else ""
    if not also:
        return _extract(said, room) or _cut(said, room), ""
    shares = (room // 4,) if first.section == "steps" else (room * 2 // 5, room * 3 // 5)
    kept = next(filter(None, (_extract(also, share) for share in shares)), "")
    left = room - _words(kept) - 1
    extract = _extract(said, left) or _cut(said, left)
    return extract, _extract(also, room - _words(extract) - 1)


def own_words(passage: Passage) -> str:
    """Its text; a number in brackets of its own must not look like one of ours."""
    return _NUMBER.sub(r"(\1)", passage.text)


def _frame(passage: Passage, language: str, reason: str | None, lacking: str = "") -> str:
    why = say(WHY[reason], language) if reason in WHY else ""
    review = say(SIGNED if passage.signed else UNSIGNED, language)
    frame = say(FROM_GUIDANCE, language).format(why=why, review=review)
    if lacking:
        frame = f"{frame} {say(BUT, language).format(lacking=lacking)}"
    if passage.language == language:
        return frame
    return f"{_which_language(passage, language)} {frame}"


def _which_language(passage: Passage, language: str) -> str:
    if language == "pcm":
        return IN_ENGLISH if passage.language == "en" else IN_FRENCH
    return say(OTHER_LANGUAGE, language)


def _extract(text: str, room: int) -> str:
    """The first whole sentences and list items that fit into `room` words; "…" says it was cut.

    Empty where not even the first fits, or only the line that introduces a list.
    """
    kept = ""
    for unit in units(text):
        if _words(kept + unit) > room:
            break
        kept += unit
    kept = kept.rstrip()
    if kept == text.strip() or kept.endswith("."):
        return kept
    return "" if kept.endswith(":") else kept and kept.rstrip(" ;,") + "…"


def _cut(text: str, room: int) -> str:
    return " ".join(text.split()[:room]) + "…"


def _words(text: str) -> int:
    return len(text.split())


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
