"""One turn, from what the patient sent to what we answered. The file to read first.

Every door starts turns through `conversations.live`, which runs `take_turn` in a task of its own
and keeps what it yields: a door that leaves changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.utils import timezone

from ai.ladder import NobodyAnswered, Reason, ladder, languages, open_chat, translate
from ai.language import name_of
from carehelp.database.identity import run_as
from carehelp.metrics import TRIAGE_SECONDS, TRIAGED
from conversations import abroad, compose, prompts, wording
from conversations.events import (
    Accepted,
    Finished,
    Sources,
    Text,
    Triaged,
    TurnEvent,
    Understood,
)
from conversations.guard import Given, as_dialled, own_numbers
from conversations.incoming import Incoming
from conversations.languages import OURS, unknown
from conversations.models import Message
from conversations.remember import Opened, SentTwiceAtOnce, open_turn
from conversations.spoken import Spoken, spoken
from conversations.understand import understand
from rag.language import in_full
from rag.search import LIMIT, LONGEST_MS, Passage, beside, search
from triage import rulebook
from triage.engine import Assessment, assess
from triage.levels import Level

logger = logging.getLogger(__name__)

WITH_A_MODEL_MS, WITHOUT_A_MODEL_MS = 150, LONGEST_MS
"""What finding passages should take: a model's first word waits for them; a composed answer has no
other."""

Status = Message.Status
Slot = Callable[[], AbstractAsyncContextManager[None]]


def read(incoming: Incoming) -> Assessment:
    """How urgent these words are on their own: no database, no lock, nothing that could refuse."""
    with TRIAGE_SECONDS.time():
        assessment, _ = assess(
            incoming.text,
            rulebook.current(),
            declared=incoming.subject,
            language=incoming.language,
        )
    TRIAGED.labels(assessment.level).inc()
    return assessment


async def take_turn(
    incoming: Incoming, runner: UUID, slot: Slot
) -> AsyncGenerator[TurnEvent, None]:
    """The turn as events: Accepted, Triaged, Sources?, Text…, Finished.

    Where something came with the words, Understood and a second Triaged follow the first, unless the
    words are an emergency by themselves. A message that had been sent before yields only Accepted.
    `slot` is held while a model answers.
    """
    opened = await _remember(incoming, runner)
    yield _accepted(opened)
    if opened.assessment is None:
        return
    turn = Turn(opened, opened.assessment, incoming.brief, incoming.language)
    yield Triaged(turn.details)
    if opened.attached and turn.assessment.level is not Level.EMERGENCY:
        turn.learn(await understand(opened, incoming, *turn.may_go_abroad()))
        yield turn.understood()
        yield Triaged(turn.details)
    if turn.assessment.level is Level.EMERGENCY:
        yield Text(turn.standing_advice())
        yield Finished(Status.COMPLETED, turn.answered_by("rules_only", None))
        return
    if not turn.opened.question:
        yield Text(turn.checklist())
        yield Finished(Status.COMPLETED, turn.answered_by("offline", turn.why_missed()))
        return
    passages = await search(
        turn.question_in_full(),
        language=turn.opened.language,
        budget_ms=WITH_A_MODEL_MS if ladder("chat_stream").ready() else WITHOUT_A_MODEL_MS,
    )
    async with slot(), aclosing(_answer(turn, passages)) as answering:
        async for event in answering:
            yield event


@dataclass(slots=True)
class Turn:
    """What is known of a turn while it is being answered; `details` is kept with the reply."""

    opened: Opened
    assessment: Assessment
    brief: bool = False
    asked: str = "auto"
    details: dict[str, Any] = field(init=False)
    said: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.details = self.opened.details

    def learn(self, opened: Opened) -> None:
        """What came with the words has been understood, as far as it could be."""
        assert opened.assessment is not None
        self.opened, self.assessment = opened, opened.assessment
        self.details.update(opened.details)

    def understood(self) -> Understood:
        return Understood(
            self.opened.message_id,
            self.opened.reply_id,
            self.details["transcript"] or "",
            self.details["attachments"],
        )

    def question_in_full(self) -> str:
        """The question without SMS and local spellings, as guidance is written."""
        return in_full(rulebook.written_out(self.opened.question))

    def may_go_abroad(self) -> tuple[bool, Reason]:
        """Whether providers abroad may be asked, and why not."""
        return abroad.may_go(self.opened.consents, *self.opened.readings)

    def why_missed(self) -> str | None:
        """Why something that came with the words was not understood; None where all was."""
        reasons = (one["reason"] for one in self.details.get("attachments", ()))
        return next((reason for reason in reasons if reason), None)

    def missed(self) -> str:
        """Says which recording or picture was not understood, and what would help."""
        return wording.missed(self.details.get("attachments", ()), self.opened.language)

    def advice(self) -> compose.Advice:
        """What triage says; it leads where something that came was not understood."""
        advice = compose.advice_of(self.assessment, self.details["triage"]["advice"])
        return replace(advice, leads=advice.leads or bool(self.missed()))

    def checklist(self) -> str:
        """What was missed, and by which signs to judge without us."""
        parts = [self.missed(), self.details["triage"]["advice"]]
        return "\n\n".join(part for part in parts if part)

    def standing_advice(self) -> str:
        """The rule's reviewed advice, then what the patient can do so that they can be reached."""
        language = self.opened.language
        reviewed = "clinician_review" in self.opened.consents
        who_reads = wording.MAY_BE_READ if reviewed else wording.NOBODY_READS
        parts = [self.details["triage"]["advice"]]
        if self.assessment.tone == "plain":
            parts.append(wording.say(wording.CALL_BACK, language))
        parts += [wording.say(who_reads, language), self.about_language()]
        return "\n\n".join(part for part in parts if part)

    def says(self, text: str) -> Text:
        self.said += text
        return Text(text)

    def preface(self, *, found: bool) -> str:
        """What stands before a model's answer: what to do now, and what it does not rest on."""
        advised = self.assessment.level in (Level.URGENT, Level.UNKNOWN)
        searched = self.assessment.kind != "greeting"
        parts = [
            self.missed(),
            self.details["triage"]["advice"] if advised else "",
            self.about_language(),
            wording.say(wording.NOT_FOUND, self.opened.language) if searched and not found else "",
        ]
        return "".join(f"{part}\n\n" for part in parts if part)

    def about_language(self) -> str:
        """Says so where we answer in another language than the patient's."""
        if self.asked not in ("auto", *OURS):
            name = name_of(self.asked, self.opened.language)
            return wording.say(wording.CANNOT_SPEAK, self.opened.language).format(language=name)
        strange = self.asked == "auto" and self.assessment.level is Level.UNKNOWN
        return wording.UNRECOGNISED if strange and unknown(self.opened.question) else ""

    async def translated(self, text: str, source: str, target: str) -> str | None:
        """None where nobody can."""
        may_go, why_not = self.may_go_abroad()
        try:
            answered = await translate(
                text,
                source=source,
                target=target,
                abroad=may_go,
                reason_if_not_abroad=why_not,
                known_names=self.opened.names,
            )
        except NobodyAnswered:
            return None
        return answered.result

    async def also_in_the_language_asked(self) -> str:
        """A translation of what was said, where some model claims to write that language."""
        if self.asked in ("auto", *OURS) or "translate" not in languages().get(self.asked, {}):
            return ""
        translation = await self.translated(self.said, self.details["language"], self.asked)
        if not translation:
            return ""
        title = wording.say(wording.ALSO_IN, self.opened.language)
        name = name_of(self.asked, self.opened.language)
        return f"\n\n{title.format(language=name)}\n\n{translation}"

    def spoken_as(self, speaking: Spoken) -> None:
        """Note in which language it came out, and what the guard took out of it."""
        self.details["language"] = speaking.language
        if speaking.removed:
            self.details["guarded"] = speaking.removed

    def questions(self) -> str:
        """What could change the level, at most two, to end an answer with: nothing to who told of no
        complaint and was understood."""
        asked = self.details["triage"]["questions"]
        unclear = self.assessment.level is Level.UNKNOWN
        if not asked or not (unclear or rulebook.complains(self.assessment.signs)):
            return ""
        intro = wording.say(wording.QUESTIONS, self.opened.language)
        return f"\n\n{intro}\n" + "\n".join(f"- {question}" for question in asked)

    def answered_by(
        self, mode: str, reason: str | None, provider: str | None = None, model: str | None = None
    ) -> dict[str, Any]:
        """Note who answered, and return the details as they now stand."""
        self.details.update(provider=provider, model=model, mode=mode, mode_reason=reason)
        return self.details


async def _remember(incoming: Incoming, runner: UUID) -> Opened:
    at = timezone.now()
    try:
        return await run_as(open_turn, incoming, runner, at)
    except SentTwiceAtOnce:
        return await run_as(open_turn, incoming, runner, at)


def _accepted(opened: Opened) -> Accepted:
    return Accepted(
        opened.conversation_id,
        opened.message_id,
        opened.reply_id,
        opened.client_message_id,
        opened.duplicate,
        opened.reply_uid,
    )


async def _answer(turn: Turn, passages: list[Passage]) -> AsyncGenerator[TurnEvent, None]:
    """A model's answer where one can be had; whatever goes wrong, one that is composed."""
    try:
        async with aclosing(_model_answer(turn, passages[:LIMIT])) as answering:
            async for event in answering:
                yield event
    except NobodyAnswered as nobody:
        reason: str = nobody.reason
    except Exception:
        logger.exception("a model's answer failed here; composing one")
        reason = "internal_error"
        if turn.said:
            yield Text("\n\n")
    else:
        return
    passages = passages + await beside(passages, turn.opened.language)
    # Choosing sentences takes milliseconds, the first time a tenth of a second.
    for event in await asyncio.to_thread(_composed, turn, passages, reason):
        yield event


async def _model_answer(turn: Turn, passages: list[Passage]) -> AsyncGenerator[TurnEvent, None]:
    """What the first rung that answers says, as the patient may read it."""
    opened = turn.opened
    may_go, why_not = turn.may_go_abroad()
    prompt = await prompts.conversation(opened, turn.assessment, passages, brief=turn.brief)
    speaking = await spoken(_given(turn, prompt.given), opened.language, turn.translated)
    async with open_chat(
        prompt.messages,
        abroad=may_go,
        reason_if_not_abroad=why_not,
        known_names=opened.names,
    ) as answer:
        turn.details["sources"] = sources_json(prompt.given)
        yield Sources(opened.reply_id, turn.details["sources"])
        mode = "fallback" if answer.fell_back else "normal"
        turn.answered_by(mode, answer.reason, answer.provider, answer.model)
        yield turn.says(turn.preface(found=bool(prompt.given)))
        async with aclosing(speaking.hear(answer)) as heard:
            async for text in heard:
                yield turn.says(text)
    async for text in speaking.end():
        yield turn.says(text)
    turn.spoken_as(speaking)
    if speaking.cut_off:
        yield Finished(Status.INTERRUPTED, turn.details)
        return
    yield turn.says(turn.questions() + await turn.also_in_the_language_asked())
    yield Finished(Status.COMPLETED, turn.details)


def _given(turn: Turn, passages: list[Passage]) -> Given:
    """What a model may repeat: what it was given, numbers that somebody has verified, the patient's."""
    today = timezone.now().date()
    contacts = rulebook.contacts(turn.opened.region)
    return Given(
        texts=[passage.text for passage in passages],
        addresses=[source["url"] for p in passages for source in p.sources if source["url"]],
        numbers=own_numbers(turn.opened.question).union(
            *(as_dialled(c.phone) for c in contacts if not c.stale(today))
        ),
        picture=any(one["kind"] == "image" for one in turn.details.get("attachments", ())),
    )


def _composed(turn: Turn, passages: list[Passage], reason: str) -> list[TurnEvent]:
    opened = turn.opened
    composed = compose.compose(
        turn.question_in_full(),
        passages,
        language=opened.language,
        reason=reason,
        advice=turn.advice(),
        longest=compose.BRIEF if turn.brief else compose.LONGEST,
    )
    turn.details["sources"] = sources_json(composed.cited)
    asked = turn.questions() if composed.asks_back else ""
    said = [turn.missed(), turn.about_language(), composed.text + asked]
    return [
        Sources(opened.reply_id, turn.details["sources"]),
        Text("\n\n".join(part for part in said if part)),
        Finished(Status.COMPLETED, turn.answered_by("offline", reason)),
    ]


def sources_json(passages: list[Passage]) -> list[dict[str, Any]]:
    return [
        {
            "id": passage.id,
            "title": passage.title,
            "section": passage.section,
            "snippet": passage.snippet,
            "url": passage.url,
            "language": passage.language,
            "kind": passage.kind,
            "signed": passage.signed,
            "score": round(passage.score, 3),
        }
        for passage in passages
    ]
