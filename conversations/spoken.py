"""What a model says, as the patient may read it: past the guard, in their language.

The first words are held until their language is known, which the first of them mostly tells. An
answer in another language is heard to its end and translated; where nothing can do that it is given as
it is, and says so. Nothing is lost.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable

from ai.ladder import CutOff
from ai.language import detect, opening
from conversations import wording
from conversations.guard import Given, Guard

SHORTEST, LONGEST, LONGEST_PIDGIN = 40, 60, 160
"""Characters after which an answer whose first word did not tell is judged: at the earliest, and at the
latest. Pidgin takes longer to tell from English. docs/providers.md says how often this is right."""

Translate = Callable[[str, str, str], Awaitable[str | None]]
"""A text, from a language, to another; None where nobody can."""


class Spoken:
    """One answer. `language` is what it turned out to be in, `cut_off` whether it stopped too early."""

    def __init__(self, guard: Guard, language: str, translate: Translate) -> None:
        self.language = language
        self._wanted = language
        self._guard, self._translate = guard, translate
        self._said: list[str] = []
        self._held = ""
        self._right: bool | None = None
        self.cut_off = False

    @property
    def removed(self) -> dict[str, int]:
        return dict(self._guard.removed)

    async def hear(self, pieces: AsyncIterable[str]) -> AsyncGenerator[str, None]:
        """What may be said while the model speaks."""
        try:
            async for piece in pieces:
                if self._right:
                    yield self._say(self._guard.feed(piece))
                    continue
                self._held += piece
                if self._right is None:
                    self._right = is_in(self._held, self._wanted)
                if self._right:
                    yield self._say(self._guard.feed(self._held))
        except CutOff:
            self.cut_off = True

    async def end(self) -> AsyncIterator[str]:
        """The rest, once the model has ended; also of an answer that was cut off."""
        if not self._right:
            async for text in self._whole(self._held):
                yield text
        yield self._say(self._guard.finish())
        yield self._at_the_end()

    async def _whole(self, answer: str) -> AsyncIterator[str]:
        """An answer that ended before its language was known, or that is in another one."""
        if self._right is None and is_in(answer, self._wanted, whole=True):
            yield self._say(self._guard.feed(answer))
            return
        source = detect(answer).language or "en"
        translated = await self._translate(answer, source, self._wanted)
        if translated and is_in(translated, self._wanted, whole=True):
            yield wording.say(wording.TRANSLATED, self._wanted) + "\n\n"
            yield self._say(self._guard.feed(translated))
            return
        self.language = source
        yield wording.not_in_their_language(self._wanted, source) + "\n\n"
        yield self._say(self._guard.feed(answer))

    def _at_the_end(self) -> str:
        """Says so where an answer went over to another language on its way."""
        found = detect("".join(self._said))
        if (
            self.language != self._wanted
            or found.language in (None, self._wanted)
            or not found.sure
        ):
            return ""
        self.language = str(found.language)
        return "\n\n" + wording.not_in_their_language(self._wanted, self.language, after=True)

    def _say(self, text: str) -> str:
        self._said.append(text)
        return text


def is_in(head: str, wanted: str, *, whole: bool = False) -> bool | None:
    """Whether an answer that begins so is in the language wanted; None while that is not known."""
    if not whole and opening(head[:SHORTEST]) == wanted:
        return True
    if not whole and len(head) < SHORTEST:
        return None
    found = detect(head)
    if found.sure and found.language == wanted:
        return True
    longest = LONGEST_PIDGIN if "pcm" in (wanted, found.language) else LONGEST
    if len(head) < longest and not whole:
        return None
    return found.language in (None, wanted) or not (found.sure or wanted == "pcm")


async def spoken(given: Given, language: str, translate: Translate) -> Spoken:
    """Ready to hear an answer."""
    return Spoken(await Guard.ready(given, language), language, translate)
