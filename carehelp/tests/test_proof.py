"""The proof of turns, in small; `make proof` runs it in full."""

from __future__ import annotations

from pathlib import Path

from carehelp.database import embedded
from carehelp.tests.proof.turns import proof_site, run


async def test_lost_connections_and_a_killed_process_lose_and_repeat_nothing(
    postgres: embedded.Server, tmp_path: Path
) -> None:
    async with proof_site(postgres, tmp_path, with_valkey=True, lease=4.0) as place:
        outcome = await run(place, turns=40, people=10, at_once=10)
    print(outcome.happened, outcome.notes)
    assert outcome.wrong.total() == 0, (outcome.wrong, outcome.examples)
    happened = outcome.happened
    assert happened["turns"] == 40
    assert happened["connections cut on purpose"] >= 3
    assert happened["answers interrupted and asked again"] >= 1, "nobody was being answered"
