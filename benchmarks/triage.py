"""Triage of messages of 300 characters, and of hostile ones of 4,000: `python -m benchmarks.triage`.

A server is warm: it has read two thousand messages made of half of the files of messages. Those
measured are made of the other half, so that no stretch of them was read before; then they are read
once more, as `evaluate_triage` times them. The baseline of the same run is one `re` alternation of
two hundred literal phrases searched in the same folded texts: what the simplest list of red flags
costs, and it neither normalises nor negates. Absolute times belong to the machine; ratios travel.
"""

from __future__ import annotations

import json
import random
import re
import resource
from collections.abc import Callable, Iterable, Sequence
from statistics import median, quantiles
from time import thread_time_ns

from triage import rulebook, text
from triage.engine import assess
from triage.rules import RuleSet

LENGTH, LONG = 300, 4_000
SEED = 20261123
PHRASES = 200
GOAL_US, GOAL_HOSTILE_US = 100, 2_000


def written() -> tuple[list[str], list[str]]:
    """The messages of every other file of messages, and those of the rest."""
    path = rulebook.FIXTURES / "triage_messages" / "development.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    halves = set(sorted({line["authored"] for line in lines})[::2])
    return (
        [line["text"] for line in lines if line["authored"] in halves],
        [line["text"] for line in lines if line["authored"] not in halves],
    )


def of_length(messages: Sequence[str], length: int, count: int, seed: int) -> list[str]:
    """Distinct texts of a length, of sentences as people write them."""
    pick = random.Random(seed)
    return [_joined(pick, messages, length) for _ in range(count)]


def _joined(pick: random.Random, messages: Sequence[str], length: int) -> str:
    found = ""
    while len(found) < length:
        found += pick.choice(messages) + " "
    return found[:length]


def hostile(rules: RuleSet) -> dict[str, str]:
    """What somebody might send to stall it; each cut to 4,000 characters."""
    pick = random.Random(SEED)
    words = sorted(word for word in rules.reader.spelling.targets if len(word) > 2)
    everything = " ".join(pick.choice(words) for _ in range(LONG))
    kinds = {
        "one letter": "a" * LONG,
        "one letter, spaced": "a " * LONG,
        "one sign": "saigne " * LONG,
        "negations": "pas plus no not jamais " * LONG,
        "half a sign": "mal mal mal au au au la la " * LONG,
        "gaps": "douleur tres tres tres tres dans le " * LONG,
        "digits": "39.5 16/10 120 " * LONG,
        "punctuation": ",.;!?()'’…" * LONG,
        "accents": "é̀̂ç" * LONG,
        "emoji": "😭🙏🏽" * LONG,
        "no spaces": "jaimalauventreetjevomis" * LONG,
        "typing errors": " ".join(_mistyped(pick, words) for _ in range(LONG)),
        "quantifier bait": "(a+)+$ [[[ {0,99} " * LONG,
    }
    long_ones = {
        "real messages": of_length(written()[1], LONG, 1, SEED)[0],
        "every word there is": everything,
    }
    return {name: kind[:LONG] for name, kind in (kinds | long_ones).items()}


def _mistyped(pick: random.Random, words: Sequence[str]) -> str:
    word = pick.choice(words)
    at = pick.randrange(len(word))
    return word[:at] + pick.choice("abcdefghij") + word[at + 1 :]


def timed(read: Callable[[str], object], texts: Iterable[str]) -> list[float]:
    """Microseconds for each text."""
    found = []
    for message in texts:
        started = thread_time_ns()
        read(message)
        found.append((thread_time_ns() - started) / 1000)
    return found


def baseline(rules: RuleSet) -> Callable[[str], object]:
    phrases = [
        text.normalise(example)
        for rule in rules.rules.values()
        for example in rule.examples["match"]
    ]
    alternation = re.compile("|".join(map(re.escape, phrases[:PHRASES])))
    return lambda message: alternation.search(text.fold(message))


def report(name: str, times: Sequence[float]) -> None:
    p99 = quantiles(times, n=100)[98]
    print(f"{name:32} {median(times):10.1f} {p99:10.1f} {min(times):10.1f}")


def main() -> None:
    rules = rulebook.current()
    before, messages = written()

    def read(message: str) -> object:
        return assess(message, rules)

    timed(read, of_length(before, LENGTH, 2_000, SEED))
    texts = of_length(messages, LENGTH, 500, SEED + 1)
    long_ones = hostile(rules)
    first, again = timed(read, texts), timed(read, texts)
    simple = timed(baseline(rules), texts)
    print(f"{len(rules.compiled)} rules, {len(rules.reader.entries)} expressions")
    print(f"{'microseconds':32} {'median':>10} {'p99':>10} {'best':>10}")
    report(f"{LENGTH} characters, first time", first)
    report(f"{LENGTH} characters, again", again)
    report(f"reading alone, {LENGTH}, again", timed(rules.reader.read, texts))
    report(f"as they come (~{int(median(map(len, messages)))}), again", timed(read, messages))
    report(f"baseline: re, {PHRASES} phrases", simple)
    print(f"ratio to the baseline {median(again) / median(simple):.2f}; asked: {GOAL_US} µs")
    print(
        f"\nhostile, {LONG} characters, first time and best of five more; asked: {GOAL_HOSTILE_US} µs"
    )
    for name, kind in long_ones.items():
        times = timed(read, [kind] * 6)
        print(f"{name:32} {times[0]:10.0f} {min(times[1:]):10.0f}")
    print(f"\n{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most")


if __name__ == "__main__":
    main()
