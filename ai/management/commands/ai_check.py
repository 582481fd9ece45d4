"""manage.py ai_check: which verb works, by which provider and model, how fast, and what to do.

Ends with 1 where a verb has models chosen for it and none of them works.
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ai import ladder, wire
from ai.base import VERBS
from ai.probing import Finding, probe


class Command(BaseCommand):
    help = "Ask every configured model something small, and say what works. Costs a few tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verbs", nargs="*", metavar="verb", help=f"of: {', '.join(VERBS)}")

    def _chosen(self, verbs: list[str]) -> list[str]:
        if unknown := set(verbs) - set(VERBS):
            raise CommandError(f"no such verb: {', '.join(unknown)}. Of: {', '.join(VERBS)}")
        return verbs or list(VERBS)

    def handle(self, *args: Any, verbs: list[str], **options: Any) -> None:
        asked = self._chosen(verbs)
        findings = asyncio.run(_findings(asked))
        for finding in findings:
            self.stdout.write(_line(finding))
        nobody = [verb for verb in asked if not any(f.works for f in findings if f.verb == verb)]
        for verb in nobody:
            self.stdout.write(self.style.WARNING(f"{verb}: nobody. {_CONSEQUENCES[verb]}"))
        if down := [verb for verb in nobody if any(f.verb == verb for f in findings)]:
            raise CommandError(f"None of the models chosen works: {', '.join(down)}")


async def _findings(verbs: list[str]) -> list[Finding]:
    """One after the other: a small machine serves one model at a time."""
    try:
        return [await probe(rung) for verb in verbs for rung in ladder.ladder(verb).rungs]
    finally:
        await wire.close()


def _line(finding: Finding) -> str:
    state = f"{finding.seconds:6.2f} s" if finding.seconds is not None else "    --  "
    works = "works" if finding.works else "FAILS"
    where = "abroad" if finding.abroad else "here"
    who = f"{finding.provider} {finding.model}"
    return f"{finding.verb:12} {works}  {state}  {where:6}  {who}  {finding.what_to_do}".rstrip()


_CONSEQUENCES = {
    "chat_stream": "Answers are composed from guidance.",
    "transcribe": "Voice messages are refused with 501.",
    "describe": "Pictures are kept for clinicians and not described.",
    "translate": "Translation is refused with 501.",
    "embed": "Search is lexical, or by the vectors shipped with it.",
}
