import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.base import ChatMessage
from ai.pseudonyms import Pseudonyms

DATA = Path(__file__).parent / "data"
KINDS = {"n": "names", "p": "phones", "e": "e-mails", "i": "identity numbers"}
# [[n:Mama Rosine|Rosine]]: what was written, and of it what identifies.
IDENTITY = re.compile(r"\[\[(\w):([^\]|]*)(?:\|([^\]]*))?\]\]")


def sentences(name):
    return (DATA / name).read_text(encoding="utf-8").splitlines()


def recall(name):
    """Kind to the share of identities of which no part is left."""
    hidden, all_of_them = Counter(), Counter()
    for sentence in sentences(name):
        out = Pseudonyms().of(IDENTITY.sub(lambda m: m[2], sentence))
        for match in IDENTITY.finditer(sentence):
            kind = KINDS[match[1]]
            all_of_them[kind] += 1
            hidden[kind] += not left_over(match[3] or match[2], out)
    return {kind: hidden[kind] / all_of_them[kind] for kind in all_of_them}


def left_over(identity, out):
    words = [word for word in re.findall(r"[\w@]+", identity) if len(word) > 1]
    return [w for w in words if re.search(rf"(?<!\w){re.escape(w)}(?!\w)", out)]


def test_recall_on_sentences_kept_apart_is_what_the_docs_say():
    found = recall("identities_test.txt")
    assert found["names"] >= 0.92
    assert found["phones"] >= 0.9
    assert found["e-mails"] >= 0.75
    assert found["identity numbers"] >= 0.9


def test_sentences_without_an_identity_are_left_alone():
    others = [row.split("\t")[1] for row in sentences("languages_test.tsv")]
    everything = [*sentences("nobody.txt"), *others]
    changed = [text for text in everything if Pseudonyms().of(text) != text]
    assert len(changed) <= 0.01 * len(everything)


@pytest.mark.parametrize(
    "text",
    [
        "Ma tension est de 180/110 et ma glycémie de 2,45",
        "patiente 32 SA 120/80 mmHg 500 mg",
        "platelets 150000, hemoglobin 7.2",
        "Coartem 80/480 matin et soir",
        "le 12/03/2025 à 14h30",
        "appelez le 119 ou le 1510",
        "Coartem est amer, Malaria is bad",
    ],
)
def test_what_a_model_needs_to_know_is_left_alone(text):
    assert Pseudonyms().of(text) == text


def test_known_names_are_replaced_however_they_are_written():
    hidden = Pseudonyms(["Zylphia Quennec"])
    out = hidden.of("zylphia dit que QUENNEC est son nom")
    assert "ylphia" not in out.lower()
    assert "quennec" not in out.lower()


def test_the_same_words_get_the_same_mark_in_all_messages():
    hidden = Pseudonyms()
    messages = [
        ChatMessage("user", "Je m'appelle Ngono"),
        ChatMessage("assistant", "Bonjour Ngono"),
    ]
    assert [m.content for m in hidden.of_messages(messages)] == [
        "Je m'appelle [NAME_1]",
        "Bonjour [NAME_1]",
    ]


def test_a_mark_that_somebody_typed_is_not_given_out():
    hidden = Pseudonyms()
    out = hidden.of("Je suis [NAME_1], appelle mon fils Kevin")
    assert out == "Je suis [NAME_1], appelle mon fils [NAME_2]"
    assert hidden.restore(out) == "Je suis [NAME_1], appelle mon fils Kevin"


def test_guidance_in_a_system_message_keeps_its_names():
    told = ChatMessage("system", "Source: Dr Atangana, 2020.")
    assert Pseudonyms().of_messages([told]) == [told]


@pytest.mark.parametrize("said", ["[NAME_1]", "NAME_1", "[name_1]", "[NAME 1]"])
def test_models_that_change_a_mark_a_little_are_understood(said):
    hidden = Pseudonyms()
    hidden.of("mon fils Kevin tousse")
    assert hidden.restore(f"Donnez à {said} de l'eau") == "Donnez à Kevin de l'eau"


async def restored(hidden, pieces):
    async def stream():
        for piece in pieces:
            yield piece

    return [piece async for piece in hidden.restored(stream())]


@given(cuts=st.lists(st.integers(0, 80), max_size=12))
async def test_words_come_back_wherever_the_stream_is_cut(cuts):
    hidden = Pseudonyms()
    hidden.of("mon fils Kevin, tel 677123456, mail a@b.cm")
    answer = "Donnez à [NAME_1] de l'eau [sic], NAME_1 ira mieux; [PHONE_1] ou [EMAIL_1]. IDIOT_ P"
    at = [0, *sorted({c for c in cuts if c < len(answer)}), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(at)]
    assert "".join(await restored(hidden, pieces)) == hidden.restore(answer)


async def test_only_what_may_be_a_mark_is_held_back():
    hidden = Pseudonyms()
    hidden.of("mon fils Kevin")
    assert await restored(hidden, ["Bonjour [NA", "ME_1] et ", "merci"]) == [
        "Bonjour ",
        "Kevin et ",
        "merci",
    ]


@given(st.text(max_size=400))
def test_any_text_can_be_hidden_and_restored(text):
    hidden = Pseudonyms()
    assert hidden.restore(hidden.of(text)).casefold() == text.casefold()
