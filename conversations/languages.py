"""In which language a message is answered."""

from __future__ import annotations

from ai.language import detect

OURS = ("fr", "en", "pcm")
"""What our guidance, our rules and our own sentences are written in."""

SEVERAL = 3


def of_message(asked: str, text: str, before: str, *, fresh: bool) -> str:
    """The language to answer a message in: as asked for where it is ours, else the message's own.

    `before` is the conversation's, which decides for a message that hardly tells; `fresh` says that
    the conversation begins with this message.
    """
    if asked in OURS:
        return asked
    found = detect(text)
    if found.language and (found.sure or fresh):
        return found.language
    return before if before in OURS else "fr"


def unknown(text: str) -> bool:
    """Whether a message of several words is in none of the languages that we can tell."""
    return len(text.split()) >= SEVERAL and detect(text).language is None
