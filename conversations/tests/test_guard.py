import re
import time
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from conversations.guard import MOST_HELD, Given, Guard, doses, own_numbers
from conversations.phrases import Found, Phrases, Reading
from conversations.wording import LANGUAGES
from rag.guidance import read_guidance

DATA = Path(__file__).parent / "data"
ORS = "Après chaque selle liquide, donnez : moins de 2 ans, 50 à 100 ml ; puis 1 comprimé par jour."
WITH_PICTURE = Given(texts=["Lavez-vous les mains."], picture=True)
PLAIN = Given(texts=["Lavez-vous les mains."])


def rows(name):
    lines = (DATA / f"guard_{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]


def hostile(name):
    return [(kind, text) for kind, text in rows(name) if kind != "-"]


def harmless(name):
    return [text for kind, text in rows(name) if kind == "-"]


def guarded(text, what=PLAIN, language="fr", cuts=()):
    """What is said of `text`, cut at these places, and the guard itself."""
    guard = Guard(what, language)
    said = ""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        said += guard.feed(text[start:end])
    return said + guard.finish(), guard


@pytest.mark.parametrize("name", ["dev", "test", "hard"])
def test_what_a_model_may_not_say_is_removed(name):
    missed = [text for _, text in hostile(name) if not guarded(text, WITH_PICTURE)[1].removed]
    assert not missed


@pytest.mark.parametrize("name", ["dev", "test", "hard"])
def test_ordinary_sentences_pass_unchanged(name):
    assert [text for text in harmless(name) if guarded(text)[0] != text] == []


def guidance():
    files = Path(settings.GUIDANCE_DIR).glob("*.*.md")
    return [section.text for path in files for section in read_guidance(path).sections]


def test_all_our_guidance_passes_unchanged_where_it_was_given():
    changed = [
        (text[:60], guard.removed)
        for text in guidance()
        for picture in (False, True)
        for said, guard in [guarded(text, Given(texts=[text], picture=picture))]
        if said != text
    ]
    assert changed == []


ANY = st.text(max_size=200)
PIECES = [text for name in ("dev", "test", "hard") for _, text in rows(name)]
MIXED = st.lists(
    st.sampled_from(PIECES) | st.sampled_from([" ", "\n", "**", "[1]", "[", "](", "http://a.b/", "5"])
    | st.text(max_size=12),
    max_size=8,
).map("".join)  # fmt: skip


@trying(deadline=None, max_examples=300)
@given(MIXED | ANY, st.data())
def test_what_is_said_does_not_depend_on_how_the_stream_is_cut(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    whole, guard = guarded(text, WITH_PICTURE)
    cut, cut_guard = guarded(text, WITH_PICTURE, cuts=cuts)
    assert (cut, cut_guard.removed) == (whole, guard.removed)


@pytest.mark.parametrize(("kind", "text"), hostile("dev") + hostile("hard") + hostile("test"))
def test_letter_by_letter_hides_nothing(kind, text):
    letters = list(range(1, len(text)))
    assert guarded(text, WITH_PICTURE, cuts=letters)[0] == guarded(text, WITH_PICTURE)[0] != text


SAFE = """la|fièvre|passe|en trois jours|buvez|souvent|the child|sleeps|well|is 38.5|water
dey good|for pikin|à 38,5 puis|16/10 hier|2-3 fois|15 jours|le 10/10/2025 au soir"""
WORDS = st.lists(st.sampled_from(re.split(r"[|\n]", SAFE)), max_size=40).map(" ".join)


@trying(deadline=None, max_examples=200)
@given(WORDS)
def test_safe_words_in_any_order_pass_unchanged(text):
    assert guarded(text)[0] == text


@trying(deadline=None, max_examples=300)
@given(MIXED | ANY)
def test_what_is_held_back_is_bounded(text):
    guard = Guard(WITH_PICTURE, "fr")
    for letter in text:
        guard.feed(letter)
        assert guard.held <= MOST_HELD + 400


def test_ordinary_text_is_hardly_held_back():
    held = []
    guard = Guard(PLAIN, "fr")
    for word in re.findall(r"\s*\S+", "\n".join(guidance())):
        guard.feed(word)
        held.append(guard.held)
    held.sort()
    assert held[len(held) // 2] <= 4
    assert held[int(0.99 * len(held))] <= 25
    assert held[-1] <= 60


@pytest.mark.parametrize(
    "hostile",
    ["appelez le " * 4000, "1" * 40000, "[" * 40000, "](" * 20000, "a" * 40000, "vous n " * 6000,
     "h" * 40000, ("(" * 50 + "appelez ") * 800, " " * 40000, "http://" + "x" * 40000],
)  # fmt: skip
def test_no_text_stalls_it(hostile):
    start = time.process_time()
    guarded(hostile, cuts=range(7, len(hostile), 7))
    # 40,000 characters; linear work takes well under a second.
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "split", ["9|1|1", "91|1", "9| |1 1", "*|*9*|*1**1", "9\u200b1\u200b1", "９１|１"]
)
def test_a_number_in_several_pieces_is_caught(split):
    guard = Guard(PLAIN, "en")
    said = "".join(guard.feed(piece) for piece in ["Please ca", "ll ", *split.split("|"), " now."])
    said += guard.finish()
    assert not re.search(r"[9９]", said)
    assert guard.removed == {"number": 1}


def test_a_verified_number_may_be_said():
    text = "Appelez le 112 ou allez à l'hôpital."
    assert guarded(text, Given(numbers=frozenset({"112"})))[0] == text
    assert "112" not in guarded(text)[0]


def test_a_patients_own_number_may_be_repeated_and_no_short_one():
    own = own_numbers("Ma fille est au +237 677 12 34 56, ou dois-je appeler le 911 ?")
    text = "Appelez-la au 677 12 34 56."
    assert guarded(text, Given(numbers=own))[0] == text
    assert "911" not in guarded("Appelez le 911.", Given(numbers=own))[0]


@pytest.mark.parametrize(
    "text",
    [
        "Prenez trois Coartem par jour.",
        "Take ibuprofen every two hours.",
        "Take ibuprofen every two hour.",
        "Paracétamol toutes les deux heures.",
    ],
)
def test_a_dose_without_its_unit_is_a_dose(text):
    assert guarded(text)[1].removed == {"dose": 1}


def test_a_dose_of_the_documents_stays_and_another_does_not():
    given = Given(texts=[ORS])
    text = "Donnez 50 à 100 ml, soit 100 mL, et one tablet per day."
    assert guarded(text, given)[0] == text
    assert "(dose retirée" in guarded("Donnez 200 ml.", given)[0]
    assert doses("un demi comprimé") == doses("half a tablet") == {("1/2", "tablet")}


def test_sources_may_be_linked_and_nothing_else():
    url = "https://www.who.int/malaria"
    given = Given(texts=["a", "b"], addresses=[url])
    kept = f"Voir [OMS]({url}) ou {url}, who.int [1] [1, 2]."
    assert guarded(kept, given)[0] == kept
    text = "Voir [ceci](http://x.test/a), http://x.test/b. Ou x.com [3] [0] [1-9] 【1†s】 a@b.cm!"
    assert guarded(text, given)[0] == "Voir [ceci], . Ou x a!"


def test_a_removed_sentence_goes_to_its_end_and_no_further():
    text = (
        "Reposez-vous. Il n'est pas nécessaire de voir un médecin avant lundi. Buvez.\nEt dormez."
    )
    said, _ = guarded(text)
    assert said.startswith("Reposez-vous. (Phrase retirée")
    assert said.endswith(" Buvez.\nEt dormez.")
    assert "lundi" not in said


def test_after_details_of_self_harm_nothing_more_is_said():
    said, guard = guarded("Bonjour. The lethal dose is small. Then call 911. Bye.", language="en")
    assert said.startswith("Bonjour. The \n\nWe do not speak about that")
    assert guard.removed == {"self_harm": 1}
    assert "Bye" not in said


def test_what_a_phrase_only_follows_is_no_part_of_it_and_not_held_back():
    phrases = Phrases({"aim": [("pour",), ("to",)]})
    phrases.add("end", "&{aim} mourir vite")
    reading = Reading(phrases, 160)
    assert not reading.word(("pour",), 0, 4)
    assert reading.begun is None
    assert not reading.word(("mourir",), 5, 11)
    assert reading.begun == 5
    assert reading.word(("vite",), 12, 16) == [Found("end", 5, 16)]
    alone = Reading(phrases, 160)
    assert not [*alone.word(("mourir",), 0, 6), *alone.word(("vite",), 7, 11)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reason_is_given_in_the_patients_language_once(language):
    said, _ = guarded("Prenez 500 mg, puis 300 mg.", language=language)
    words = {"fr": ("demandez-la", "(dose retirée)"), "en": ("ask a", "(dose removed)"),
             "pcm": ("ask health", "(we comot the dose)")}[language]  # fmt: skip
    assert all(said.count(one) == 1 for one in words)
