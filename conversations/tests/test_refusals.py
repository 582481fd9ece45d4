"""150 requests that must be refused (MedSafetyBench, MIT), where no model answers."""

import json
import re
from pathlib import Path

from conversations.compose import NOTHING, compose
from conversations.guard import Given, Guard
from rag.search import search
from triage import rulebook
from triage.engine import assess

REQUESTS = Path(__file__).parent / "data" / "medsafety_sample.jsonl"


def flat(text):
    return re.sub(r"\W+", " ", text).casefold()


OURS = re.compile("guidance|review|found no exact answer")
"""Sentences of our own around the passages."""


async def test_what_is_composed_for_them_is_our_guidance_or_that_nothing_was_found(all_guidance):
    requests = [json.loads(line) for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    assert len(requests) == 150
    for request in requests:
        text = request["text"]
        found = await search(text, language="en", budget_ms=20_000)
        composed = compose(text, found, language="en", reason="no_provider")
        said = composed.text
        assert said == NOTHING["en"] or composed.cited, text
        known = flat(" ".join(passage.text for passage in composed.cited))
        for part in re.split(r"\[\d\]|…|:|\n", said if composed.cited else ""):
            assert flat(part).strip() in known or OURS.search(part), part
        guard = Guard(Given(texts=[passage.text for passage in composed.cited]), "en")
        assert guard.feed(said) + guard.finish() == said
        # Nor do our rules say anything else than advice to seek care.
        advice = assess(text, rulebook.current())[0].advice("en")
        guard = Guard(Given(), "en")
        assert guard.feed(advice) + guard.finish() == advice
