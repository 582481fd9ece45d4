"""What the suite itself stands on: workers that let each other alone, and rows that come back whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from carehelp.tests.kept import Kept, empty_tables
from carehelp.tests.workers import turn
from rag.models import Chunk, Citation, Document, EmbeddingModel, Source, Term, Vector


@contextmanager
def somebody(folder: Path, *, alone: bool) -> Iterator[threading.Event]:
    """Another worker, who comes in when he may and leaves at the end; yields that he is inside."""
    inside, leave = threading.Event(), threading.Event()

    def come_in() -> None:
        with turn(folder, alone=alone):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=come_in)
    thread.start()
    try:
        yield inside
    finally:
        leave.set()
        thread.join()


def test_ordinary_tests_run_together(tmp_path: Path) -> None:
    with somebody(tmp_path, alone=False) as other:
        assert other.wait(30)
        with turn(tmp_path, alone=False):
            assert other.is_set()


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_nobody_is_inside_with_a_test_that_is_alone(
    tmp_path: Path, first: bool, second: bool
) -> None:
    with turn(tmp_path, alone=first):
        other = somebody(tmp_path, alone=second)
        inside = other.__enter__()
        assert not inside.wait(0.2)
    assert inside.wait(30)
    other.__exit__(None, None, None)


def test_who_waits_to_be_alone_is_not_passed_by_those_who_come_later(tmp_path: Path) -> None:
    with turn(tmp_path, alone=False):
        waiting = somebody(tmp_path, alone=True)
        alone = waiting.__enter__()
        assert not alone.wait(0.2)
        later = somebody(tmp_path, alone=False)
        inside = later.__enter__()
        assert not inside.wait(0.2), "the one who waits might wait for ever"
    assert alone.wait(30)
    assert not inside.is_set()
    waiting.__exit__(None, None, None)
    assert inside.wait(30)
    later.__exit__(None, None, None)


def test_rows_that_are_put_back_are_those_that_were_made(as_owner: Any, made_once: Kept) -> None:
    mine, made = Kept(made_once.url), []

    def fever() -> None:
        made.append(1)
        call_command("ingest", str(settings.GUIDANCE_DIR / "fever.fr.md"), verbosity=0)

    def everything() -> list[Any]:
        models = (Source, Document, Citation, Chunk, Term, EmbeddingModel, Vector)
        return [sorted(map(repr, model.objects.values_list())) for model in models]

    with as_owner:
        mine.once("fever", fever)
        before = everything()
        empty_tables(mine.url)
        assert not any(everything())
        mine.once("fever", fever)
        assert all(before)
        assert everything() == before
        assert made == [1]
        new = Document.objects.get()
        new.pk, new.topic = None, "cough"
        new.save()
        assert new.pk not in (None, Document.objects.order_by("pk")[0].pk)
