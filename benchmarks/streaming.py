"""Streams: CPU a token, time to the first token, how many one process holds. Ratios to two baselines.

`python -m benchmarks.streaming [--rounds 5] [--ceilings] [--json OUT]`. Carehelp whole (triaged,
stored, encrypted, resumable, guarded) against a FastAPI proxy with the `openai` SDK that stores
nothing, and against the Socket.IO way. Rounds are interleaved; medians of the ratios within a round
are what to read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import string
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import median

import uvloop

from benchmarks import phones, servers
from benchmarks.phones import MOST_WORDS, Dialect, Phone
from benchmarks.servers import Server
from benchmarks.upstream import MODEL, RATE

STREAMS = 40
RAMP_SECONDS, WINDOW_SECONDS = 4.0, 5.0
STARTS_A_SECOND = 3.0
"""How fast people arrive where streams are counted. What counts is how many are held: beginning a turn
(search, triage, storing it) is Carehelp's alone, and costs its core as much as a second of a stream.
"""
PASSES_MS = 105.0
PASSES_SHARE = 0.9


@dataclass
class Contender:
    """`server` and how it is spoken to; `protocols` carries the token where it wants one."""

    name: str
    server: Server
    dialect: Dialect
    protocols: str = ""


@dataclass(frozen=True)
class Figures:
    """Of one run. `asked_*` begins with the question, `added_*` with the upstream's first token."""

    streams: int
    faults: int
    fault: str
    share: float
    cpu_us: float
    database_us: float
    added_p50: float
    added_p95: float
    asked_p50: float
    asked_p95: float
    gap_p95: float

    @property
    def passes(self) -> bool:
        in_time = max(self.gap_p95, self.added_p95) < PASSES_MS
        return self.faults == 0 and self.share >= PASSES_SHARE and in_time


def names(count: int, run: int) -> Iterator[str]:
    """Letters only: digits would be facts to triage."""
    letters = product(string.ascii_lowercase, repeat=3)
    for first, _ in zip(letters, range(count), strict=False):
        yield "q" + string.ascii_lowercase[run % 26] + "".join(first)


_runs = iter(range(10_000))


async def run(contender: Contender, up: Server, streams: int, ramp: float) -> Figures:
    """Ask `streams` times over `ramp` seconds, and measure while all of them flow."""
    asked = list(names(streams, next(_runs)))
    many = [
        Phone(contender.dialect, f"Comment éviter le paludisme ? ({name})", contender.protocols)
        for name in asked
    ]
    readings: list[tuple[float, float, int]] = []

    async def measure(at: float) -> None:
        await asyncio.sleep(at)
        words = sum(phone.words for phone in many if phone.arrived)
        server = contender.server
        readings.append((server.cpu_seconds(), server.database_cpu_seconds(), words))

    begin, end = ramp + 1.0, ramp + 1.0 + WINDOW_SECONDS
    _ask(up, f"/length/{MOST_WORDS}")
    started = asyncio.get_running_loop().time()
    answers = asyncio.create_task(
        phones.ask_all(contender.server.port, many, ramp=ramp, seconds=end + 60)
    )
    await asyncio.gather(measure(begin), measure(end))
    _ask(up, "/length/1")
    await answers
    window = (started + begin, started + end)
    return _figures(many, asked, _ask(up, "/first"), readings, window)


def _ask(up: Server, path: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{up.url}{path}", timeout=10) as answer:
        said: dict[str, int] = json.load(answer)
        return said


def _figures(
    many: list[Phone],
    asked: list[str],
    sent: dict[str, int],
    readings: list[tuple[float, float, int]],
    window: tuple[float, float],
) -> Figures:
    (cpu, database, words), (cpu_after, database_after, words_after) = readings
    tokens = max(1, words_after - words)
    heard = [(phone, name) for phone, name in zip(many, asked, strict=True) if phone.arrived]
    added = [(phone.arrived[0][0] - sent[name]) / 1e6 for phone, name in heard if name in sent]
    waited = [(phone.arrived[0][0] - phone.asked_at) / 1e6 for phone, _ in heard]
    return Figures(
        streams=len(many),
        faults=sum(bool(phone.fault) for phone in many),
        fault=next((phone.fault for phone in many if phone.fault), ""),
        share=tokens / (len(many) * RATE * (window[1] - window[0])),
        cpu_us=(cpu_after - cpu) / tokens * 1e6,
        database_us=(database_after - database) / tokens * 1e6,
        added_p50=percentile(added, 50),
        added_p95=percentile(added, 95),
        asked_p50=percentile(waited, 50),
        asked_p95=percentile(waited, 95),
        gap_p95=percentile(list(_gaps(many, window)), 95),
    )


def _gaps(many: list[Phone], window: tuple[float, float]) -> Iterator[float]:
    """Milliseconds between two arrivals on a phone, inside the window."""
    first, last = (at * 1e9 for at in window)
    for phone in many:
        times = [at for at, _ in phone.arrived if first <= at <= last]
        yield from ((b - a) / 1e6 for a, b in pairwise(times))


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 1e9


async def most_streams(contender: Contender, up: Server, begin: int) -> tuple[int, list[Figures]]:
    """The most streams that pass, found by growing a quarter at a time, then halving the step."""
    tried: list[Figures] = []
    passed, count, step = 0, begin, begin // 2
    while step >= max(10, passed // 16):
        figures = await run(contender, up, count, count / STARTS_A_SECOND)
        tried.append(figures)
        print(f"  {contender.name}: {_line(figures)}", flush=True)
        if figures.passes:
            passed = count
            step = max(step, count // 4) if len(tried) < 12 else step // 2
            count += step
        else:
            step //= 2
            count = passed + step if passed else count // 2
        if len(tried) > 16 or count < 5:
            break
    return passed, tried


def _likely(measured: list[Figures]) -> int:
    """Where to begin: two thirds of what a whole core would hold at the price of few streams."""
    return int(2 / 3 * 1e6 / RATE / median(one.cpu_us for one in measured))


def _line(figures: Figures) -> str:
    return (
        f"{figures.streams} streams {'pass' if figures.passes else 'fail'}: "
        f"{figures.share:.0%} of tokens, {figures.cpu_us:.0f} µs a token "
        f"(+{figures.database_us:.0f} in the database), first token added "
        f"{figures.added_p50:.1f}/{figures.added_p95:.1f} ms, from asking "
        f"{figures.asked_p50:.0f}/{figures.asked_p95:.0f} ms, gap p95 {figures.gap_p95:.0f} ms, "
        f"{figures.faults} faults {figures.fault}".rstrip()
    )


def compare(ours: list[Figures], theirs: list[Figures], of: Callable[[Figures], float]) -> float:
    return median(of(a) / of(b) for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ceilings", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with ExitStack() as stack:
        up = stack.enter_context(servers.upstream())
        contenders = _contenders(stack, up)
        results: dict[str, list[Figures]] = {c.name: [] for c in contenders}
        for number in range(options.rounds + 1):
            for contender in contenders:
                figures = uvloop.run(run(contender, up, STREAMS, RAMP_SECONDS))
                print(f"{number or 'warm-up'} {contender.name}: {_line(figures)}", flush=True)
                if number:
                    results[contender.name].append(figures)
        held = {}
        if options.ceilings:
            for contender in contenders:
                begin = _likely(results[contender.name])
                held[contender.name], _ = uvloop.run(most_streams(contender, up, begin))
    _report(results, held)
    if options.json:
        rounds = {name: [asdict(one) for one in many] for name, many in results.items()}
        options.json.write_text(json.dumps({"rounds": rounds, "held": held}, indent=1) + "\n")


def _contenders(stack: ExitStack, up: Server) -> list[Contender]:
    values = {
        "AI_CHAT": "lmstudio",
        "LMSTUDIO_BASE_URL": f"{up.url}/v1",
        "LMSTUDIO_MODEL": MODEL,
    }
    ours = stack.enter_context(servers.carehelp(values))
    sdk = stack.enter_context(servers.proxy("fastapi_sdk", up, MODEL))
    whole = stack.enter_context(servers.proxy("socketio_whole_text", up, MODEL))
    token = f"carehelp.v1, carehelp.bearer.{servers.guest(ours)}"
    return [
        Contender("Carehelp", ours, phones.CAREHELP, token),
        Contender("FastAPI + SDK", sdk, phones.SDK),
        Contender("Socket.IO", whole, phones.SOCKET_IO),
    ]


def _report(results: dict[str, list[Figures]], held: dict[str, int]) -> None:
    ours, sdk = results["Carehelp"], results["FastAPI + SDK"]
    print(
        f"\nMedian ratios of {len(ours)} interleaved rounds, {STREAMS} streams of {RATE} tokens/s:"
    )
    for what, of in (
        ("CPU a token", lambda f: f.cpu_us),
        ("CPU a token, the database's included", lambda f: f.cpu_us + f.database_us),
        ("first token added, p50", lambda f: f.added_p50),
        ("first token added, p95", lambda f: f.added_p95),
        ("from asking to the first token, p50", lambda f: f.asked_p50),
    ):
        print(f"  {what}: {compare(ours, sdk, of):.2f} of FastAPI + SDK's")
    if held:
        most = held["Carehelp"]
        told = ", ".join(f"{name} {count}" for name, count in held.items())
        print(f"Streams held by one process: {told}")
        for name in ("FastAPI + SDK", "Socket.IO"):
            if held[name]:
                print(f"  {most / held[name]:.1f} times {name}")


if __name__ == "__main__":
    main()
