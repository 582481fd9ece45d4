"""What clinicians upload, and what somebody who means harm would."""

import os
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from carehelp.errors import CarehelpError, TooLarge, UnsupportedMedia
from rag import uploads
from rag.guidance import BadDocument, SourceRef
from rag.pdf import read_pdf
from rag.reading import Refusal, read_html, read_markdown
from rag.tests.pdfs import ENCRYPTED, bomb, pdf, scanned
from rag.uploads import Said, read

FRONT = "---\ntopic: cough\nlanguage: en\ntitle: Cough\nsigned_by: Dr Faux\n---\n\n"
GUIDANCE = FRONT + "## Signs {#signs}\n\nA cough that lasts.\n"
PAGE = """<!DOCTYPE html><html><head><title>Fiche palu</title><style>p {color: red}</style></head><body>
<nav>Accueil</nav><h1>Le paludisme</h1><p>Le paludisme donne de la <b>fièvre</b>.</p>
<h2>Quand consulter</h2><ul><li>Convulsions</li><li><p>Enfant qui ne boit plus</p></li></ul>
<script>alert(1)</script><p hidden>caché</p><p style="display: none">caché</p><!-- caché -->
<table><tr><th>Âge</th><th>Signe</th></tr><tr><td>1 mois</td><td>fièvre</td></tr></table>
<img src="http://192.0.2.1/x.png" onerror="alert(2)"><iframe src="http://192.0.2.1/">caché</iframe>
</body></html>"""


@pytest.fixture(scope="module", autouse=True)
def children_end():
    yield
    uploads.children.stop()


def texts(offered):
    return {section.heading: section.text for section in offered.parsed.sections}


async def refused(data, name, kind=BadDocument):
    with pytest.raises(kind) as caught:
        await read(data, name)
    return caught.value.members["reason"]


async def test_our_own_format_is_read_as_it_is_and_its_signature_does_not_count():
    parsed = (await read(GUIDANCE.encode(), "cough.md")).parsed
    assert (parsed.topic, parsed.language, parsed.sections[0].id) == ("cough", "en", "signs")
    assert parsed.signed_by is None


async def test_other_markdown_is_cut_at_its_headings():
    text = "# Le paludisme\n\nFièvre.\n\n## Prévention\n\n- Moustiquaire\n- <b>Vaccin</b>\n"
    offered = await read(text.encode(), "fiche.md")
    assert offered.parsed.title == "Le paludisme"
    assert texts(offered) == {
        "Le paludisme": "Fièvre.",
        "Prévention": "- Moustiquaire\n- <b>Vaccin</b>",
    }


async def test_a_heading_says_which_section_it_is():
    offered = await read(PAGE.encode(), "fiche.html")
    assert [(s.heading, s.id) for s in offered.parsed.sections] == [
        ("Le paludisme", ""),
        ("Quand consulter", "when_to_go"),
    ]


async def test_of_a_page_only_what_a_reader_sees_goes_on():
    offered = await read(PAGE.encode(), "fiche.html")
    assert texts(offered) == {
        "Le paludisme": "Le paludisme donne de la fièvre.",
        "Quand consulter": "- Convulsions\n- Enfant qui ne boit plus\nÂge | Signe\n1 mois | fièvre",
    }


async def test_nothing_of_a_page_is_fetched(monkeypatch):
    def connect(*args):
        raise AssertionError(args)

    monkeypatch.setattr("socket.socket.connect", connect)
    assert read_html(PAGE.encode(), longest=10_000).blocks


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
async def test_other_encodings_are_understood(encoding):
    offered = await read("# Fièvre\n\nL'œdème élevé.".encode(encoding), "fiche.md")
    assert texts(offered) == {"Fièvre": "L'œdème élevé."}


async def test_a_declared_encoding_counts_and_an_unknown_one_does_no_harm():
    for charset in ("iso-8859-1", "no-such-charset", "hex", "idna"):
        page = f'<html><head><meta charset="{charset}"></head><body>fièvre</body></html>'
        offered = await read(page.encode("latin-1"), "fiche.html")
        assert "fièvre" in offered.parsed.sections[0].text


async def test_a_pdf_gives_its_headings_paragraphs_and_title():
    long = "Le paludisme donne une fièvre qui monte et qui descend, avec des frissons"
    pages = [
        [("Fiche du CHU", 9), ("Le paludisme", 18), (long, 11), ("et des maux de tête.", 11)],
        [("Fiche du CHU", 9), ("Quand consulter", 18), ("• Convulsions", 11), ("• Sang", 11)],
        [("Fiche du CHU", 9), (long, 11), ("3", 9)],
    ]
    offered = await read(pdf(*pages, title="Paludisme, CHU"), "fiche.pdf")
    assert offered.parsed.title == "Paludisme, CHU"
    assert texts(offered) == {
        "Le paludisme": f"{long} et des maux de tête.",
        "Quand consulter": f"- Convulsions\n- Sang\n{long}",
    }
    assert offered.report == {"format": "PDF", "pages": 3, "textless": []}


async def test_pages_that_are_only_pictures_are_counted():
    said = [("Une page de texte, une autre qui est vide.", 11)]
    assert (await read(pdf(said, []), "fiche.pdf")).report["textless"] == [2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ENCRYPTED, "encrypted"),
        (scanned(), "no_text"),
        (pdf([("Fièvre", 11)])[:200], "unreadable"),
        (b"%PDF-1.7", "unreadable"),
    ],
    ids=["encrypted", "scanned", "half", "only its first line"],
)
async def test_a_pdf_without_readable_text_says_why(data, reason):
    assert await refused(data, "fiche.pdf") == reason


async def test_a_pdf_bomb_ends_in_its_child_and_the_next_document_is_read():
    assert len(bomb()) < 50_000
    before = resident()
    assert await refused(bomb(), "fiche.pdf") in ("bomb", "slow")
    assert resident() - before < 50 * 1024**2
    assert (await read(GUIDANCE.encode() + b"\nx", "cough.md")).parsed
    assert (await read(b"# Toux\n\nTousser.", "toux.md")).parsed


def resident():
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_page_that_takes_too_long_to_read_is_given_up(monkeypatch):
    monkeypatch.setattr(uploads.children, "seconds", 2.0)
    start = time.monotonic()
    assert await refused(b"<html>" + b"<div>" * 400_000, "fiche.html") == "slow"
    assert time.monotonic() - start < 20


async def test_giant_documents_are_refused(settings):
    assert await refused(b"# x\n\n" + b"mot " * 300_000, "fiche.md", TooLarge) == "too_long"
    page = b"<html><body>" + b"<p>mot mot</p>" * 150_000
    assert await refused(page, "fiche.html", TooLarge) == "too_long"
    many = pdf(*[[("Fièvre", 11)]] * 301)
    assert await refused(many, "fiche.pdf", TooLarge) == "too_many_pages"
    settings.DOCUMENT_MAX_BYTES = 1000
    assert await refused(b"x" * 1001, "fiche.md", TooLarge) == "too_many_bytes"


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (pdf([("Fièvre", 11)]), "fiche.md", "misnamed"),
        (PAGE.encode(), "fiche.pdf", "misnamed"),
        (b"# Toux\n\nTousser.", "fiche.pdf", "misnamed"),
        (b"", "fiche.md", "empty"),
        (b" \n ", "fiche.md", "empty"),
        (b"<html><body><script>alert(1)</script></body></html>", "fiche.html", "no_text"),
        (b"# Un titre seul", "fiche.md", "no_text"),
        ("# 木\n\n木".encode(), "木.md", "no_topic"),
        (FRONT.encode(), "fiche.md", "no_section"),
    ],
)
async def test_what_is_not_what_it_says_is_refused_with_the_reason(data, name, reason):
    assert await refused(data, name) == reason


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04 docx", b"\x89PNG\r\n\x1a\n\0\0", b"MZ\x90\x00", b"\xd0\xcf\x11\xe0\0"]
)
async def test_what_we_do_not_read_is_415(data):
    assert await refused(data, "fiche.docx", UnsupportedMedia) == "unsupported"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("topic: cough", "topic: ../../etc", "no_topic"),
        ("topic: cough", "topic: &a [x]\nkeywords: [*a, *a]", "not_yaml"),
        ("topic: cough", "topic: " + "[" * 5000, "not_yaml"),
        ("title: Cough", "title: Cough\nkeywords: 5", "not_a_list"),
        ("title: Cough", "title: Cough\nsources: [5]", "source"),
        ("title: Cough", "title: Cough\nsources: [{title: x, url: 'javascript:x'}]", "source"),
        ("{#signs}", "{#omens}", "section"),
    ],
)
async def test_hostile_front_matter_is_refused(old, new, reason):
    assert await refused(GUIDANCE.replace(old, new).encode(), "cough.md") == reason


async def test_characters_that_nobody_sees_do_not_go_on():
    hidden = "fi\u200bè\u202evre\U000e0041 \ufeffici"
    for data in (f"# Toux\n\n{hidden}", GUIDANCE.replace("A cough", hidden)):
        sections = (await read(data.encode(), "toux.md")).parsed.sections
        assert "fièvre ici" in sections[0].text


async def test_what_the_clinician_says_comes_before_what_the_file_says():
    said = Said("Palu!", "pcm", "Malaria", SourceRef("", "MINSANTE", 2024, "https://example.org"))
    parsed = (await read(PAGE.encode(), "fiche.html", said)).parsed
    assert (parsed.topic, parsed.language, parsed.title) == ("palu", "pcm", "Malaria")
    (source,) = parsed.sources
    assert (source.title, source.publisher, source.read) == ("Malaria", "MINSANTE", True)


@given(st.binary(max_size=400), st.sampled_from([read_html, read_markdown, read_pdf]))
@given_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_read_or_refused(data, reader):
    try:
        blocks = reader(data, longest=10_000).blocks
    except Refusal:
        return
    assert all(block.text.strip() for block in blocks)


@given(st.text(max_size=300))
@given_settings(deadline=None)
def test_any_text_behind_front_matter_is_understood_or_refused(text):
    with suppress(CarehelpError):
        uploads._guidance(f"---\n{text}\n---\n## A\n\nb".encode(errors="replace"), "x.md")
