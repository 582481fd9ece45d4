"""An ingest that is killed, and one that runs while questions are answered: real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import connections

from rag import embedding, records, vectors
from rag.ingest import ingest
from rag.models import Chunk, Document
from rag.search import search
from rag.tests.test_ingest import GUIDANCE, record, write

DOCUMENTS = 120
TEXTS = DOCUMENTS + 1
"""Different ones: all documents share a section."""

MARK = "[1" + ",0" * 383 + "]"
LOGINS = {"DATABASE_URL": "app", "DATABASE_DESK_URL": "desk", "DATABASE_OWNER_URL": "owner"}


@pytest.fixture
def command(postgres, as_owner):
    """Starts `manage.py ingest` on the tests' database, in a process of its own."""
    name = connections["owner"].settings_dict["NAME"]
    urls = {key: postgres.url(f"carehelp_{login}", name) for key, login in LOGINS.items()}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PY")} | urls
    environment["FIELD_ENCRYPTION_KEYS"] = ",".join(settings.FIELD_ENCRYPTION_KEYS)
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "ingest", *map(str, arguments)],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    vectors.forget()
    with as_owner:
        yield start
    for process in started:
        process.kill()
        process.communicate()
    vectors.forget()


def count(sql: str) -> int:
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def kill_once(process: subprocess.Popen[str], begun: Callable[[], bool]) -> None:
    """SIGKILL as soon as `begun`; fails where the process was done before."""
    deadline = time.monotonic() + 120
    while not begun():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.fixture
def many(tmp_path):
    """A folder with short documents."""
    folder = tmp_path / "guidance"
    folder.mkdir()
    for number in range(DOCUMENTS):
        text = GUIDANCE.replace("topic: cough", f"topic: cough-{number}")
        (folder / f"{number:03}.en.md").write_text(text.replace("that lasts", f"of {number} days"))
    return folder


def test_a_killed_ingest_goes_on_where_it_was(command, many):
    begun = "SELECT count(*) FROM rag_document"
    kill_once(command(many, "--no-embed"), lambda: count(begun) >= 5)
    done = Document.objects.count()
    assert 5 <= done < DOCUMENTS
    for document in Document.objects.prefetch_related("chunks"):
        assert [chunk.live for chunk in document.chunks.all()] == [True, True]

    assert ingest([many], embed=False).outcomes == {"unchanged": done, "new": DOCUMENTS - done}
    assert Chunk.objects.filter(live=True).count() == 2 * DOCUMENTS


def test_vectors_made_before_a_kill_are_kept_and_half_a_set_is_not_searched(command, many):
    ingest([many], embed=False)
    made = "SELECT count(*) FROM rag_vector"
    kill_once(command(many), lambda: count(made) >= vectors.BATCH)
    kept = count(made)
    assert kept % vectors.BATCH == 0
    assert kept < TEXTS
    assert vectors.active() is None

    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE rag_vector SET embedding = %s", [MARK])
    ingest([many])
    assert count(made) == TEXTS
    assert count(f"SELECT count(*) FROM rag_vector WHERE embedding = '{MARK}'::halfvec") == kept
    vectors.forget()
    active = vectors.active()
    assert active is not None
    assert active.name == embedding.model_name()


def test_a_killed_reading_of_records_goes_on_and_leaves_nothing_half_said(command, tmp_path):
    batches = 6
    rows = [record(n, heart_rate="?") for n in range(batches * records.BATCH)]
    file = write(tmp_path / "cases.csv", rows)
    kept = "SELECT count(*) FROM rag_checkpoint"
    kill_once(command(file), lambda: count(kept) >= 2)
    assert not Document.objects.exists()
    before = count(kept)

    report = ingest([file]).reports[0]
    assert (report.kept, report.dropped.total()) == (len(rows), 0)
    assert report.repaired["heart_rate: not a number"] == len(rows)
    # Every batch takes a number, and so may the one in which the process was killed.
    written = count("SELECT last_value FROM rag_checkpoint_id_seq")
    assert written - before <= batches - before + 1
    assert count(kept) == 0
    assert Document.objects.count() == 2
    assert set(ingest([file]).outcomes) == {"unchanged"}


async def test_questions_are_answered_while_an_ingest_runs(command, many):
    """Each document is one transaction, so a topic is never missing while it is replaced."""
    command(many, "--no-embed").communicate()
    for file in many.iterdir():
        file.write_text(file.read_text().replace("Open the windows", "Open all windows"))
    process, asked = command(many, "--no-embed"), 0
    while process.poll() is None:
        passages = await search("cough of 7 days", language="en", budget_ms=60_000)
        assert passages[0].text == "A cough of 7 days."
        asked += 1
    assert f"{DOCUMENTS} changed" in process.communicate()[0]
    assert asked > 1


def test_a_progress_bar_says_how_fast_and_how_long(command, many):
    _, said = command(many, "--no-embed").communicate()
    assert "guidance: 100%" in said
    assert f"{DOCUMENTS}/{DOCUMENTS}" in said
    assert "file/s" in said
