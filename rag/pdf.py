"""The text of a PDF, with the headings and paragraphs that its letters' sizes and lines suggest.

Runs in a child process, like `rag.reading`; PDFium is the parser of Chromium.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rag.reading import Block, Reading, Refusal, one_line, with_text

MOST_PAGES = 300
LONGEST_HEADING = 120
BULLETS = "•●◦▪–-*·"
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"(?:page\s*)?\d{1,4}(?:\s*(?:/|of|sur|de)\s*\d{1,4})?", re.IGNORECASE)
# A line of a PDF that is this much larger than most of its text is a heading.
HEADING_SIZE = 1.12
# Of the lines of a PDF: one that is shorter than this share of the longest ends a paragraph.
SHORT_LINE = 0.7
FEWEST_LETTERS = 20
"""A page with fewer holds no text worth the name: it is a picture of one."""


def read_pdf(data: bytes, *, longest: int) -> Reading:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Refusal("encrypted" if "password" in str(error).lower() else "unreadable") from None
    if len(document) > MOST_PAGES:
        raise Refusal("too_many_pages")
    try:
        read = [_page(document[number], longest) for number in range(len(document))]
        title = document.get_metadata_value("Title")
    except (pypdfium2.PdfiumError, ValueError):
        raise Refusal("unreadable") from None
    if sum(len(line.text) for page in read for line in page) > longest:
        raise Refusal("too_long")
    textless = [number for number, page in enumerate(read, 1) if _letters(page) < FEWEST_LETTERS]
    if len(textless) == len(read):
        raise Refusal("no_text")
    return with_text(Reading(one_line(title), [*_paragraphs(read)], len(read), textless))


class _Line(NamedTuple):
    text: str
    size: float


def _page(page: Any, longest: int) -> list[_Line]:
    """The lines of a page, each with the size that most of its letters have."""
    import pypdfium2.raw as raw

    text = page.get_textpage()
    count = text.count_chars()
    if count > longest:
        raise Refusal("too_long")
    lines: list[_Line] = []
    letters: list[str] = []
    sizes: Counter[float] = Counter()
    for index in range(count):
        letter = chr(raw.FPDFText_GetUnicode(text.raw, index))
        if letter == "\n":
            lines.append(_Line("".join(letters), _most(sizes)))
            letters, sizes = [], Counter()
        else:
            letters.append(letter)
            if letter.isalnum():
                sizes[round(raw.FPDFText_GetFontSize(text.raw, index), 1)] += 1
    lines.append(_Line("".join(letters), _most(sizes)))
    text.close()
    return [line for line in lines if line.text.strip()]


def _most(sizes: Counter[float]) -> float:
    return max(sizes, key=lambda size: (sizes[size], size), default=0.0)


def _letters(page: Sequence[_Line]) -> int:
    return sum(letter.isalpha() for line in page for letter in line.text)


def _paragraphs(read: Sequence[Sequence[_Line]]) -> Iterator[Block]:
    """Lines put together again: a PDF knows neither paragraphs nor headings."""
    lines = [line for page in _without_running_heads(read) for line in page]
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    body = _most(sizes)
    lengths = sorted(len(line.text) for line in lines if line.size <= body)
    width = lengths[len(lengths) * 9 // 10]
    run: list[_Line] = []
    for line in lines:
        if run and _parted(run[-1], line, body, width):
            yield _block(run, body)
            run = []
        run.append(line)
    if run:
        yield _block(run, body)


def _parted(before: _Line, line: _Line, body: float, width: int) -> bool:
    """Whether a paragraph, an item or a heading begins with this line.

    A line that ends early was not broken because it was full.
    """
    if _is_heading(before, body) or _is_heading(line, body):
        return before.size != line.size
    short = len(before.text.rstrip()) < SHORT_LINE * width
    return short or line.text.lstrip()[:1] in BULLETS


def _is_heading(line: _Line, body: float) -> bool:
    return line.size >= body * HEADING_SIZE and len(line.text) <= LONGEST_HEADING


def _without_running_heads(read: Sequence[Sequence[_Line]]) -> Iterator[list[_Line]]:
    """Without page numbers, and without what stands first or last on half of the pages."""
    edges = Counter(_same(page[at].text) for page in read if page for at in {0, len(page) - 1})
    often = {text for text, count in edges.items() if count >= max(3, len(read) // 2)}
    for page in read:
        ends = (0, len(page) - 1)
        yield [
            line
            for at, line in enumerate(page)
            if not _PAGE_NUMBER.fullmatch(line.text.strip())
            and not (at in ends and _same(line.text) in often)
        ]


def _same(text: str) -> str:
    """What a running head is on every page, whatever the page's number."""
    return _NUMBER.sub("#", text.strip())


def _block(lines: Sequence[_Line], body: float) -> Block:
    # PDFium marks a hyphen at the end of a line so.
    text = "\n".join(line.text.strip() for line in lines)
    text = one_line(text.replace("\ufffe\n", "").replace("\x02\n", ""))
    if text[:1] in BULLETS:
        text = f"- {text.lstrip(BULLETS).strip()}"
    return Block(text, 2 if _is_heading(lines[0], body) else 0)
