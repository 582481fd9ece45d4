"""An answer without a model: what in our guidance answers the question, cited.

Where somebody asks a common question, its answer comes first, then the section that was asked for and
when to go for care; otherwise the section that fits, and when to go.

Nothing is made up here: the sentences are a document's own, between a few frame sentences that say
where they come from. Where nothing fits, the answer says so and gives the way to care.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from conversations.wording import say
from rag.intent import asks, asks_for_whole_section, only_asks, sections_asked
from rag.models import QUESTIONS
from rag.search import GUIDANCE, RELEVANT, Passage
from triage.engine import Assessment
from triage.levels import Level

LONGEST = 120
"""Words in a composed answer, the advice included."""

BRIEF = 60
"""The same for those who pay by the byte."""

SHORTEST_EXTRACT = 15
TOLD = ("steps", "when_to_go", "home_care")
"""What answers somebody who asks nothing and only tells what is wrong."""

SURE = 0.75
"""The score from which a common question answers even who asked for first aid."""

LEAST_BESIDE = 12
"""Words that are worth adding to sentences that answer already."""

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
class Advice:
    """What triage says. `leads`: whole and before everything else, whatever is asked.

    `stands`: it is never left out. `unclear`: it says that triage did not understand. `general`: it
    rests on no rule for what was written, so it fits whatever is asked no better than anything else.
    """

    text: str = ""
    leads: bool = True
    stands: bool = True
    unclear: bool = False
    general: bool = False


def advice_of(assessment: Assessment, text: str) -> Advice:
    """Emergencies, crisis and violence lead; so does what answers a message after one."""
    level = assessment.level
    quiet = assessment.tone != "plain" or assessment.kind == "follow_up"
    return Advice(
        text,
        leads=level is Level.EMERGENCY or quiet,
        stands=level is Level.URGENT,
        unclear=level is Level.UNKNOWN,
        general=not any(m.level is level and not m.learned for m in assessment.matches),
    )


@dataclass(frozen=True, slots=True)
class Composed:
    """The answer, and the passages that its numbers [1], [2] stand for, in order.

    `asks_back`: questions of triage's fit after it; not where information was asked for and given.
    """

    text: str
    cited: list[Passage]
    asks_back: bool = True


def compose(
    question: str,
    passages: Sequence[Passage],
    *,
    language: str,
    reason: str | None = None,
    advice: Advice = Advice(),
    longest: int = LONGEST,
) -> Composed:
    """Answer from `passages` alone, at most `longest` words. `reason` is why no model answered.

    Triage's advice comes first and whole to who tells what is wrong, unless they ask something and it
    says nothing of what they wrote: then it comes after the answer. Who only asks for information is
    answered first: as if they were ill they are advised after it, when it is urgent, or not at all,
    for when to go stands in the answer. A question that guidance was found for was clear enough even
    where triage did not understand: the danger signs then stand in few words, after it.
    """
    guidance = [p for p in passages if p.kind == GUIDANCE]
    best = next((p for p in guidance if p.score >= RELEVANT), None)
    if best is None:
        return _nothing(question, advice, language)
    topic = [p for p in guidance if p.topic == best.topic]
    first = best if _answers(best, question, topic) else _fitting(question, topic)
    before, after = _advised(question, advice, language)
    frame = _frame(first, language, reason)
    if _words(before) + _words(frame) + SHORTEST_EXTRACT > LONGEST:
        return Composed(before, [])
    room = max(SHORTEST_EXTRACT, longest - sum(map(_words, (before, frame, after))) - 2)
    if first is best and best.section == QUESTIONS:
        parts = _answer(question, first, topic, room)
    else:
        parts = _section(first, topic, room)
    informed = only_asks(question) or (asks(question) and advice.general)
    return replace(_numbered(before, frame, parts, after), asks_back=not informed)


def _advised(question: str, advice: Advice, language: str) -> tuple[str, str]:
    """What of triage's advice stands before the answer, and what after it."""
    if advice.leads:
        short = advice.unclear and asks(question)
        return say(UNCLEAR, language) if short else advice.text, ""
    if only_asks(question) and not advice.unclear:
        return "", advice.text if advice.stands else ""
    if asks(question) and advice.unclear:
        return "", say(UNCLEAR, language)
    return ("", advice.text) if asks(question) and advice.general else (advice.text, "")


def _nothing(question: str, advice: Advice, language: str) -> Composed:
    """That nothing was found says where to go and which signs are dangers, so who only asks needs no
    advice that rests on nothing they wrote; any other stands before it."""
    rests_on_nothing = advice.general and not (advice.leads or advice.stands)
    before = "" if rests_on_nothing and only_asks(question) else advice.text
    asks_back = not only_asks(question)
    return Composed(_paragraphs(before, say(NOTHING, language)), [], asks_back=asks_back)


Part = tuple[Passage, str]
"""Words of a passage, as they stand in it."""


def _numbered(before: str, frame: str, parts: Sequence[Part], after: str) -> Composed:
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
    return Composed(_paragraphs(before, frame, *paragraphs, after), cited)


def _section(first: Passage, topic: Sequence[Passage], room: int) -> list[Part]:
    """The section that was asked for, and when to go."""
    second = _beside(first, topic)
    extract, addition = _shared(first, second, room)
    return [(first, extract), *([(second, addition)] if second and addition else [])]


def _answers(best: Passage, question: str, topic: Sequence[Passage]) -> bool:
    """Whether a common question leads. First aid that is asked for gives way to none that is unsure."""
    asked = _first(sections_asked(question)[:1], topic)
    first_aid = asked is not None and asked.section == "steps"
    return best.section == QUESTIONS and (best.score >= SURE or not first_aid)


def _answer(question: str, meant: Passage, topic: Sequence[Passage], room: int) -> list[Part]:
    """The answer to a common question, another that may be meant, then what fits of the section asked
    for and of when to go.
    """
    answer = _extract(own_words(meant), room) or _cut(own_words(meant), room)
    room -= _words(answer) + 1
    told = [(meant, answer)]
    others = [p for p in topic if p.section == QUESTIONS and p is not meant]
    for other in others if not asks_for_whole_section(question) else ():
        if _words(other.text) < room:
            told.append((other, own_words(other)))
            room -= _words(other.text) + 1
    section = _first(sections_asked(question), topic)
    if section is None and meant.score < SURE and asks(question):
        section = _fitting(question, topic)
    when = _first(["when_to_go"], topic)
    beside = list({p.id: p for p in (section if len(told) == 1 else None, when) if p}.values())
    if room < LEAST_BESIDE or not beside:
        return told
    first_aid = section is not None and section.section == "steps"
    if when and section is not when and not first_aid and not _told_of(beside, room)[1]:
        beside = [when]
    said = zip(beside, _told_of(beside, room), strict=False)
    return [*told, *((p, text) for p, text in said if _words(text) >= LEAST_BESIDE)]


def _told_of(beside: Sequence[Passage], room: int) -> tuple[str, str]:
    return _shared(beside[0], beside[1] if len(beside) > 1 else None, room)


def _fitting(question: str, topic: Sequence[Passage]) -> Passage:
    """The section that was asked for; where none was, what fits the question best.

    Somebody who only tells what is wrong is told what to do at once, or when to go for care.
    """
    sections = sections_asked(question) or (() if asks(question) else TOLD)
    whole = [p for p in topic if p.section != QUESTIONS]
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


def _units(text: str) -> Iterator[str]:
    """Sentences and lines, each with the space or newline that followed it."""
    start = 0
    for gap in _UNIT.finditer(text):
        yield text[start : gap.end()]
        start = gap.end()
    yield text[start:]


def _cut(text: str, room: int) -> str:
    return " ".join(text.split()[:room]) + "…"


def _words(text: str) -> int:
    return len(text.split())


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
