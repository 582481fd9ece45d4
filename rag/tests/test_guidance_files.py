"""The guidance files keep the shape that ingestion and readers rely on. No Django, no database."""

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag.models import SECTIONS

GUIDANCE = Path(__file__).resolve().parents[2] / "fixtures" / "guidance"
FILES = sorted(path for path in GUIDANCE.glob("*.*.md"))
LANGUAGES = ("fr", "en", "pcm")
WORDS = range(40, 111)
ANSWER = range(15, 61)
FIELDS = {"topic", "language", "title", "keywords", "sources", "signed_by"}
SOURCE_FIELDS = {"title", "publisher", "year", "url", "read"}

NAME = re.compile(r"(?P<topic>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<language>fr|en|pcm)\.md")
QUESTION = re.compile(r"^### (?P<question>.+)$", re.MULTILINE)
LABEL = re.compile(r"(?:Also asked|Aussi demandé|People di also ask) ?:")
ALSO_ASKED = re.compile(rf"\s*{LABEL.pattern} (?P<phrasings>.+)$", re.MULTILINE)
SECTION = re.compile(r"^## (?P<heading>.+) \{#(?P<id>[a-z_]+)\}$", re.MULTILINE)
# Six digits or more, however spaced, are a telephone number unless they are a range of years.
LONG_NUMBER = re.compile(r"\+?\d(?:[ .\-]?\d){5,}")
# Short codes (112, 119, 1510...) hide among ordinary numbers: three or four digits must be a
# year, carry a unit or stand in a fraction such as 140/90.
SHORT_CODE = re.compile(
    r"(?<![\d/,.])(?!(?:19|20)\d\d\b)\d{3,4}(?![\d/,.]*\d)"
    r"(?!\s?(?:ml|g|m|kcal|metres|mètres|/|à \d|to \d))\b"
)
DIAL = re.compile(r"\b(?:compos\w+ le|appel\w+ le|dial|call) \d", re.IGNORECASE)
DOSE = re.compile(r"\d\s?(?:mg|µg|mcg|UI|IU)\b")
FACILITY = {
    "fr": re.compile(r"hôpital|centre de santé", re.IGNORECASE),
    "en": re.compile(r"hospital|health centre", re.IGNORECASE),
    "pcm": re.compile(r"hospital|health centre", re.IGNORECASE),
}
AT_ONCE = {
    "fr": re.compile(r"tout de suite"),
    "en": re.compile(r"at once"),
    "pcm": re.compile(r"quick quick|now now"),
}


def split(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Front matter and the section bodies by id, in the order of the file."""
    _, front, body = text.split("---\n", 2)
    parts = SECTION.split(body)
    return yaml.safe_load(front), dict(zip(parts[2::3], parts[3::3], strict=True))


def plain(text: str) -> str:
    """Lower case without accents, so that a keyword is found however it is written."""
    letters = unicodedata.normalize("NFKD", text.lower().replace("œ", "oe"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def problems_of_front_matter(name: str, front: dict[str, Any]) -> list[str]:
    match = NAME.fullmatch(name)
    found = [f"front matter lacks or adds {sorted(FIELDS ^ set(front))}"] * (set(front) != FIELDS)
    if not match or match.groupdict() != {k: front.get(k) for k in ("topic", "language")}:
        found.append("file name is not <topic>.<language>.md as in the front matter")
    if not front.get("title") or len(front.get("keywords") or []) < 5:
        found.append("no title, or fewer than five keywords")
    return found


def problems_of_sources(sources: list[dict[str, Any]]) -> list[str]:
    found = [f"source with fields {sorted(s)}" for s in sources if set(s) != SOURCE_FIELDS]
    found += [f"read is not true or false: {s}" for s in sources if type(s.get("read")) is not bool]
    found += [f"no address: {s}" for s in sources if not str(s.get("url")).startswith("http")]
    if not any(source.get("read") is True for source in sources):
        found.append("no source whose own text was read")
    return found


def problems_of_layout(sections: dict[str, str]) -> list[str]:
    ids = list(sections)
    found = [f"unknown section {id_}" for id_ in ids if id_ not in SECTIONS]
    missing = {"overview", "when_to_go", "do_not", "questions"} - set(ids)
    if missing or not {"signs", "steps"} & set(ids):
        found.append(f"missing sections {sorted(missing) or 'signs or steps'}")
    if ids != [id_ for id_ in SECTIONS if id_ in ids]:
        found.append(f"sections out of order: {ids}")
    return found


def problems_of_wording(id_: str, body: str, lengths: range) -> list[str]:
    length = len(body.replace("- ", " ").split())
    found = [f"{id_} has {length} words"] * (length not in lengths)
    for what, pattern in (("number to dial", LONG_NUMBER), ("number to dial", SHORT_CODE),
                          ("number to dial", DIAL), ("dose", DOSE)):  # fmt: skip
        found += [f"{id_} has a {what}: {hit.group()!r}" for hit in pattern.finditer(body)]
    return found


def problems_of_questions(body: str) -> list[str]:
    before, *parts = QUESTION.split(body)
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    found = ["questions start with '### Question?'"] * (bool(before.strip()) or not pairs)
    asked = [plain(question) for question, _ in pairs]
    found += [f"asked twice: {question}" for question in set(asked) if asked.count(question) > 1]
    for question, said in pairs:
        also = ALSO_ASKED.match(said)
        answer = (said[also.end() :] if also else said).strip()
        found += [f"no question: {question}"] * (not question.rstrip().endswith("?"))
        found += [f"'Also asked' is not one line before the answer of: {question}"] * (
            bool(LABEL.search(answer))
        )
        found += problems_of_wording(f"the answer to {question!r}", answer, ANSWER)
    return found


def problems_of_section(id_: str, body: str, language: str, names: list[str]) -> list[str]:
    if id_ == "questions":
        return problems_of_questions(body)
    found = problems_of_wording(id_, body, WORDS)
    if not any(name in plain(body) for name in names):
        found.append(f"{id_} read alone does not say what it is about")
    if id_ == "when_to_go" and not (
        FACILITY[language].search(body) and AT_ONCE[language].search(body)
    ):
        found.append("when_to_go does not say where to go at once")
    return found


def names_of(front: dict[str, Any]) -> list[str]:
    """Stems by which a passage may name its topic: words of title and keywords, and acronyms."""
    said = " ".join([front["title"], *map(str, front["keywords"])])
    acronyms = {plain(word) for word in re.findall(r"\b[A-Z]{3}\b", said)}
    return sorted({word[:6] for word in re.findall(r"\w{4,}", plain(said))} | acronyms)


def problems(name: str, text: str) -> list[str]:
    front, sections = split(text)
    found = problems_of_front_matter(name, front) + problems_of_sources(front.get("sources") or [])
    found += problems_of_layout(sections)
    for id_, body in sections.items():
        found += problems_of_section(id_, body, front["language"], names_of(front))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_guidance_file_is_sound(path: Path) -> None:
    assert problems(path.name, path.read_text(encoding="utf-8")) == []


def test_every_topic_is_there_in_french_and_in_english() -> None:
    topics = {language: set() for language in LANGUAGES}
    for path in FILES:
        topic, language, _ = path.name.rsplit(".", 2)
        topics[language].add(topic)
    assert topics["fr"] == topics["en"]
    assert topics["pcm"] <= topics["fr"]


def test_both_languages_of_a_topic_have_the_same_sections() -> None:
    for path in FILES:
        english = path.with_name(path.name.rsplit(".", 2)[0] + ".en.md")
        ids = [list(split(file.read_text(encoding="utf-8"))[1]) for file in (path, english)]
        assert ids[0] == ids[1], path.name


def test_neither_french_nor_english_has_far_fewer_common_questions() -> None:
    for path in GUIDANCE.glob("*.fr.md"):
        english = path.with_name(path.name.replace(".fr.", ".en."))
        asked = [
            len(QUESTION.findall(file.read_text(encoding="utf-8"))) for file in (path, english)
        ]
        assert min(asked) >= max(5, 0.75 * max(asked)), path.name


def test_a_heading_is_worded_the_same_in_every_file_of_a_language() -> None:
    wordings: dict[tuple[str, str], set[str]] = {}
    for path in FILES:
        for heading in SECTION.finditer(path.read_text(encoding="utf-8")):
            key = (path.name.rsplit(".", 2)[1], heading["id"])
            wordings.setdefault(key, set()).add(heading["heading"])
    assert [key for key, wording in wordings.items() if len(wording) > 1] == []


def test_nothing_is_signed_unless_somebody_is_named() -> None:
    for path in FILES:
        signed_by = split(path.read_text(encoding="utf-8"))[0]["signed_by"]
        assert signed_by is None or str(signed_by).strip(), path.name


BREAKAGES = [
    ("signed_by: null", "signed: null", "front matter"),
    ("read: true", "read: yes-ish", "read is not"),
    ("read: true", "read: false", "own text was read"),
    ("{#do_not}", "{#dont}", "unknown section"),
    ("Fever is a body", "Ring 119. Fever is a body", "number to dial"),
    ("Fever is a body", "Ring 6 70 12 34 56. Fever is a body", "number to dial"),
    ("Fever is a body", "Give 500 mg. Fever is a body", "dose"),
    ("Fever is a body", "Fever " * 111, "words"),
    ("Go to the nearest hospital at once", "See somebody", "where to go at once"),
]

PAIRS = """## Common questions {#questions}

### How long does fever last?
Also asked: fever how many days / la fièvre dure combien

Fever most often lasts two or three days. See a health worker the same day for a malaria test.

### Can a fever be dangerous?

Fever can be dangerous: go at once to a hospital with a fit, a stiff neck, or a baby under two months.
"""

BROKEN_PAIRS = [
    ("last?", "last", "no question"),
    ("Fever most often lasts two or three days. ", "", "words"),
    ("See a health worker", "Ring 119. See a health worker", "number to dial"),
    ("two or three days", "500 mg", "dose"),
    ("Also asked:", "Most often.\nAlso asked:", "not one line before"),
    ("Can a fever be dangerous?", "How long does fever last?", "asked twice"),
    ("### How", "Before. ### How", "questions start"),
]


@pytest.mark.parametrize(("old", "new", "said"), BREAKAGES)
def test_a_broken_file_is_noticed(old: str, new: str, said: str) -> None:
    text = (GUIDANCE / "fever.en.md").read_text(encoding="utf-8")
    assert old in text
    assert any(said in problem for problem in problems("fever.en.md", text.replace(old, new)))


def with_pairs() -> str:
    text = (GUIDANCE / "fever.en.md").read_text(encoding="utf-8")
    return re.split(r"^## .+ \{#questions\}$", text, flags=re.MULTILINE)[0] + PAIRS


def test_common_questions_are_accepted() -> None:
    assert problems("fever.en.md", with_pairs()) == []


@pytest.mark.parametrize(("old", "new", "said"), BROKEN_PAIRS)
def test_a_broken_common_question_is_noticed(old: str, new: str, said: str) -> None:
    text = with_pairs().replace(old, new)
    assert text != with_pairs()
    assert any(said in problem for problem in problems("fever.en.md", text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sentences_are_short_enough_for_primary_schooling(path: Path) -> None:
    body = " ".join(split(path.read_text(encoding="utf-8"))[1].values())
    body = ALSO_ASKED.sub("", body).replace("###", "")
    sentences = [s for s in re.split(r"[.;:!?](?:\s+|$)|\n- ", body) if len(s.split()) > 1]
    assert sum(len(s.split()) for s in sentences) / len(sentences) <= 16
