"""What a child process does with an uploaded document: find its text, headings and paragraphs.

No Django and nothing of ours is imported, so that a child starts quickly. Nothing is fetched, run or
rendered: scripts, styles, forms, pictures and what a page hides stay behind, and only characters that
a reader can see go on. Errors are `Refusal`, which can be pickled.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0", re.I)

UNSEEN = re.compile(
    "script|style|template|noscript|iframe|object|embed|applet|svg|math|canvas|audio|video|nav|footer|"
    "aside|form|button|select|textarea|input|dialog|head|title"
)
BLOCK = re.compile(
    "address|article|blockquote|body|br|caption|center|d[dlt]|details|div|fieldset|figcaption|figure|"
    "h[1-6]|header|hgroup|hr|html|li|main|ol|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
CELLS = ("td", "th")
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


class Refusal(Exception):
    """`code` is one of: unreadable, encrypted, no_text, too_many_pages, too_long."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Block(NamedTuple):
    """A paragraph or list item; or, with a `level` from 1, a heading."""

    text: str
    level: int = 0


@dataclass(slots=True)
class Reading:
    """A document's words. `pages` and `textless` (pages that are only a picture) are a PDF's."""

    title: str = ""
    blocks: list[Block] = field(default_factory=list)
    pages: int = 0
    textless: list[int] = field(default_factory=list)


def visible(text: str) -> str:
    """`text` without control, zero-width and direction characters, which hide words from a reader."""
    plain = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(c for c in plain if c in "\n\t" or unicodedata.category(c)[0] != "C")


def as_text(data: bytes) -> str:
    """Decoded by its byte order mark, as UTF-8, or as what Windows writes in Western Europe."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_markdown(data: bytes, *, longest: int) -> Reading:
    """CommonMark with tables; HTML inside it is text like any other."""
    from markdown_it import MarkdownIt

    text = _at_most(as_text(data), longest)
    page = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return _html(page, longest)


def read_html(data: bytes, *, longest: int) -> Reading:
    return _html(_decoded(data), longest)


def _decoded(data: bytes) -> str:
    declared = _META_CHARSET.search(data[:2048])
    if declared is None or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return as_text(data)
    try:
        return data.decode(declared[1].decode("ascii"), errors="replace")
    except (LookupError, UnicodeError):
        return as_text(data)


def _html(page: str, longest: int) -> Reading:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(page)
    reading = Reading()
    title = tree.css_first("head > title")
    if title is not None:
        reading.title = one_line(title.text())
    reading.blocks = [*_blocks(tree.root, longest)]
    return with_text(reading)


def _blocks(root: Any, longest: int) -> Iterator[Block]:
    """Runs of text between the starts and ends of blocks, in the order of the page."""
    level, item, length = 0, False, 0
    run: list[str] = []
    for tag, text in _walk(root):
        if tag in CELLS:
            run.append(" | " if "".join(run).strip() else "")
        elif not tag:
            run.append(text)
            length += len(text)
            if length > longest:
                raise Refusal("too_long")
        else:
            if words := one_line("".join(run)):
                yield Block(f"- {words}" if item and not level else words, level)
                item = False
            run = []
            item = (item or tag == "li") and tag != "/li"
            if tag.lstrip("/") in HEADINGS:
                level = HEADINGS.index(tag) + 1 if tag in HEADINGS else 0


def _walk(root: Any) -> Iterator[tuple[str, str]]:
    """Texts as `("", text)`; the tag of a block or cell that starts, `/tag` of a block that ends.

    Not recursive: a page may nest as deep as it likes.
    """
    node, entering = root, True
    while True:
        if entering and _seen(node):
            yield from _entered(node)
            if node.child is not None:
                node = node.child
                continue
        if BLOCK.fullmatch(node.tag):
            yield f"/{node.tag}", ""
        if node is root or node.parent is None:
            return
        entering = node.next is not None
        node = node.next if entering else node.parent


def _entered(node: Any) -> Iterator[tuple[str, str]]:
    if node.is_text_node:
        yield "", node.text_content or ""
    elif BLOCK.fullmatch(node.tag) or node.tag in CELLS:
        yield node.tag, ""


def _seen(node: Any) -> bool:
    """Whether a reader would see it."""
    if node.is_text_node:
        return True
    if not node.is_element_node or UNSEEN.fullmatch(node.tag):
        return False
    attributes = node.attributes
    return not (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or _HIDDEN_STYLE.search(attributes.get("style") or "")
    )


def one_line(text: str) -> str:
    return " ".join(visible(text).split())


def with_text(reading: Reading) -> Reading:
    reading.blocks = [block for block in reading.blocks if block.text.strip("- |")]
    if not any(block.level == 0 for block in reading.blocks):
        raise Refusal("no_text")
    return reading


def _at_most(text: str, longest: int) -> str:
    if len(text) > longest:
        raise Refusal("too_long")
    return text
