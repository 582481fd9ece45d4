"""The learned signal: may only raise, says who it is, and is what its file says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import rulebook, signal, training
from triage.engine import as_heard, assess
from triage.levels import Level
from triage.management.commands import train_signal
from triage.signal import NAMES, Signal, Weights
from triage.training import Lesson

DEVELOPMENT = rulebook.FIXTURES / "triage_messages" / "development.jsonl"
SIZE = 1 << signal.BITS
SHIPPED = signal.load()


def table(**weights):
    found = bytearray(SIZE)
    for word, weight in weights.items():
        found[signal.of_word(word)[0]] = weight % 256
    return bytes(found)


def heard(words, *, bad=None, odd=None, threshold=10.0):
    asked = Signal(
        [Weights(table(**(bad or {})), 0, threshold), Weights(table(**(odd or {})), 0, threshold)]
    )
    return asked.hear(words.split(), [])


@pytest.fixture(scope="module")
def messages():
    lines = DEVELOPMENT.read_text(encoding="utf-8").splitlines()[::15]
    return [json.loads(line)["text"] for line in lines]


def test_it_hears_what_outweighs_its_threshold_and_says_where():
    assert heard("il convulse encore", bad={"convulse": 100}) == (NAMES[0], 1)
    assert heard("il convulse encore", odd={"convulse": 100}) == (NAMES[1], 1)
    assert heard("il convulse encore", bad={"convulse": 100, "encore": -100}) is None
    assert heard("il chante encore", bad={"convulse": 100}) is None
    assert heard("", bad={"convulse": 100}) is None


def test_the_worse_opinion_comes_first():
    assert heard("a", bad={"a": 100}, odd={"a": 120}) == (NAMES[0], 0)


def test_it_says_nothing_of_longer_texts_than_it_learned_from():
    assert heard("convulse " * signal.MOST_WORDS, bad={"convulse": 100})
    assert heard("convulse " * (signal.MOST_WORDS + 1), bad={"convulse": 100}) is None


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=300))
def test_no_words_break_it(words):
    found = SHIPPED.hear(words, ["past"])
    assert found is None or found[1] < len(words)


def test_one_addition_adds_both_opinions(messages):
    rules = rulebook.current()
    tables = signal.FILE.read_bytes().partition(b"\n")[2]
    opinions = [memoryview(tables[i * SIZE : (i + 1) * SIZE]).cast("b") for i in (0, 1)]
    head = json.loads(signal.FILE.read_bytes().partition(b"\n")[0])["opinions"]
    for text in messages:
        words, tellings = as_heard(text, rules)
        found = signal.features(words, tellings)
        sums = [sum(table[i] * count for i, count in found) for table in opinions]
        scores = [sum_ / len(found) ** 0.5 for sum_ in sums]
        above = [
            name
            for name, score, one in zip(NAMES, scores, head, strict=True)
            if score + one["bias"] > one["threshold"]
        ]
        asked = rules.signal.hear(words, tellings)
        assert (asked[0] if asked else None) == (above[0] if above else None)


def test_it_lowers_no_development_message(monkeypatch):
    """All of them: the rules decide without it, and it may only raise."""
    rules = rulebook.current()
    texts = [
        json.loads(line)["text"]
        for path in train_signal.MESSAGES
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    together = [assess(text, rules)[0] for text in texts]
    monkeypatch.setattr(rules, "signal", None)
    for text, with_it in zip(texts, together, strict=True):
        without = assess(text, rules)[0]
        assert with_it.level.rank >= without.level.rank, text
        own = [match.id for match in with_it.matches if not match.id.startswith("learned-")]
        assert own == [match.id for match in without.matches]


ORDINARY = [
    "fièvre depuis trois jours et je vomis",
    "j'ai de la fièvre depuis deux jours et je vomis",
    "fever for three days and I vomit",
    "body di hot since 3 days, I di vomit",
    "j'ai le palu, fièvre et frissons",
    "ma fille a 3 ans, fièvre et toux",
    "mon bébé de 6 mois tousse",
    "ma femme est enceinte de 8 mois",
    "she is pregnant, 7 months",
]
"""None of them to learn from."""


@pytest.mark.parametrize("text", ORDINARY)
def test_it_hears_no_emergency_in_ordinary_illness(text):
    assert assess(text, rulebook.current())[0].level is not Level.EMERGENCY


def test_what_it_raised_says_that_it_was_learned():
    raised = []
    for line in DEVELOPMENT.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        assessment, _ = assess(text, rulebook.current())
        if assessment.matches and assessment.matches[0].id.startswith("learned-"):
            raised.append(assessment)
    assert raised
    for assessment in raised:
        assert "signal appris" in assessment.matches[0].title("fr")
        assert assessment.matches[0].words


def test_a_rule_of_the_same_level_speaks_first():
    text = rulebook.current().rules["learned-emergency"].examples["match"][0]
    ids = [match.id for match in assess(text, rulebook.current())[0].matches]
    assert "learned-emergency" in ids
    assert not ids[0].startswith("learned-")


def test_a_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "signal.bin"
    signal.write(path, [Weights(table(), 0, 1)] * 2, {})
    assert signal.load(path).hear(["a"], []) is None
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="train_signal"):
        signal.load(path)


def lesson(words, gold, group="a", called=0):
    return Lesson(signal.features(words.split(), []), gold, called, group)


LESSONS = [
    *[lesson(f"il convulse {word}", 3, group) for group in "abc" for word in ("fort", "la", "oh")],
    *[lesson(f"il chante {word}", 0, group) for group in "abc" for word in ("fort", "la", "oh")],
]


def test_training_learns_what_tells_them_apart_and_twice_the_same():
    opinions, measured = training.train(LESSONS)
    again, same = training.fit(LESSONS, 3), training.fit(LESSONS, 3)
    assert (again[0] == same[0]).all()
    assert again[1] == same[1]
    assert Signal(opinions).hear(["il", "convulse", "vite"], []) == (NAMES[0], 1)
    assert Signal(opinions).hear(["il", "chante", "oh"], []) is None
    assert measured[0]["meant"] == {"of": 9, "rules": 0, "both": 9}
    assert measured[0]["low-risk"] == {"of": 9, "rules": 0, "both": 0}


def test_a_threshold_costs_at_most_its_share_of_the_messages_asked_about():
    lessons = [lesson(f"mot{i}", i % 2 * 2) for i in range(200)]
    scores = [float(i) for i in range(200)]
    for golds in (range(2), [2]):
        least = training.threshold(lessons, scores, 3, 0.03, golds)
        above = [one for one, score in zip(lessons, scores, strict=True) if score > least]
        assert sum(one.gold in golds for one in above) == 3


def test_what_shares_situations_is_held_out_together():
    groups = {one.group for one in training.lessons([DEVELOPMENT], rulebook.current())}
    assert groups == {"abcdef", "g", ""}
