from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from tqdm import tqdm

from carehelp.errors import CarehelpError
from rag.evaluation import METHODS, evaluate

COLUMNS = ("hit@1", "hit@5", "mrr@10", "ndcg@10", "ms_p50", "ms_p95")


class Command(BaseCommand):
    help = "Measure our search on a BEIR folder, beside BM25. Leaves no trace in the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dir", type=Path, metavar="DIR")
        parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there")
        parser.add_argument(
            "--only", nargs="+", choices=METHODS, default=METHODS, help="the methods to measure"
        )
        parser.add_argument(
            "--vectors",
            type=Path,
            metavar="FOLDER",
            help="keep the passages' vectors there: making them takes longest",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        bar: tqdm[Any] = tqdm(disable=options["verbosity"] == 0, mininterval=1)

        def progress(name: str, done: int, total: int) -> None:
            bar.set_description(name, refresh=False)
            bar.total, bar.n = total, done
            bar.update(0)

        make_tables()
        try:
            results = evaluate(
                options["dir"], kept=options["vectors"], only=options["only"], progress=progress
            )
        except CarehelpError as error:
            raise CommandError(str(error)) from error
        finally:
            bar.close()
        if options["json"]:
            options["json"].write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        self._tell(results)

    def _tell(self, results: dict[str, dict[str, float]]) -> None:
        self.stdout.write(f"{'':9}" + "".join(f"{column:>9}" for column in COLUMNS))
        for name, figures in results.items():
            row = "".join(f"{figures[column]:9.3f}" for column in COLUMNS)
            self.stdout.write(f"{name:9}{row}")


def make_tables() -> None:
    """In a fresh clone nothing has been migrated yet; the scratch tables are made like ours."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT to_regclass('app.rag_chunk') IS NULL")
        (fresh,) = cursor.fetchone()
    if fresh:
        call_command("migrate", database="owner", interactive=False, verbosity=0)
