"""An answer without a model: the section of our guidance that fits the question, cited.

Nothing is made up here: the sentences are a document's own, between a few frame sentences that say
where they come from. Where nothing fits, the answer says so and gives the way to care.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conversations.wording import say
from rag.intent import asks, sections_asked
from rag.search import GUIDANCE, RELEVANT, Passage

LONGEST = 120
"""Words in a composed answer, the advice included."""

BRIEF = 60
"""The same for those who pay by the byte."""

SHORTEST_EXTRACT = 15
TOLD = ("steps", "when_to_go", "home_care")
"""What answers somebody who asks nothing and only tells what is wrong."""

_NUMBER = re.compile(r"\[(\d+)\]")
_UNIT = re.compile(r"\n|(?<=[.!?]) +(?=[^\W\d_])")

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
    best = next((p for p in guidance if p.score >= RELEVANT), None)
    if best is None:
        return Composed(_paragraphs(advice, say(NOTHING, language)), [])
    if unclear and asks(question):
        advice = say(UNCLEAR, language)
    topic = [p for p in guidance if p.topic == best.topic]
    first = _fitting(question, topic)
    frame = _frame(first, language, reason)
    room = max(SHORTEST_EXTRACT, longest - _words(advice) - _words(frame) - 2)
    second = _beside(first, topic)
    extract, addition = _shared(first, second, room)
    cited, parts = [first], [f"{extract} [1]"]
    if second and addition:
        cited.append(second)
        parts.append(f"{addition} [2]")
    return Composed(_paragraphs(advice, frame, *parts), cited)


def _fitting(question: str, topic: Sequence[Passage]) -> Passage:
    """The section that was asked for; where none was, what fits the question best.

    Somebody who only tells what is wrong is told what to do at once, or when to go for care.
    """
    sections = sections_asked(question) or (() if asks(question) else TOLD)
    return _first(sections, topic) or topic[0]


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


def _frame(passage: Passage, language: str, reason: str | None) -> str:
    why = say(WHY[reason], language) if reason in WHY else ""
    review = say(SIGNED if passage.signed else UNSIGNED, language)
    frame = say(FROM_GUIDANCE, language).format(why=why, review=review)
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
    for unit in _units(text):
        if _words(kept + unit) > room:
            break
        kept += unit
    kept = kept.rstrip()
    if kept == text.strip() or kept.endswith("."):
        return kept
    return "" if kept.endswith(":") else kept and kept.rstrip(" ;,") + "…"


def _cut(text: str, room: int) -> str:
    return " ".join(text.split()[:room]) + "…"


def _units(text: str) -> Iterator[str]:
    """Sentences and lines, each with the space or newline that followed it."""
    start = 0
    for gap in _UNIT.finditer(text):
        yield text[start : gap.end()]
        start = gap.end()
    yield text[start:]


def _words(text: str) -> int:
    return len(text.split())


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
