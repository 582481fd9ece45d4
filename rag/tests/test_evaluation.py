"""Measuring the search: the figures are right, and nothing is left behind."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from rag.evaluation import _scores, evaluate, read_folder
from rag.models import Chunk

TEXTS = {
    "d1": "Le paludisme donne de la fièvre et des frissons.",
    "d2": "La morsure de serpent fait gonfler la peau.",
    "d3": "Une brûlure se refroidit sous l'eau propre.",
    "d4": "Le diabète donne soif et fait uriner souvent.",
}
QUESTIONS = {"q1": ("fièvre et frissons", "d1"), "q2": ("serpent", "d2"), "q3": ("brûlure", "d3")}
METHODS = {"lexical", "dense", "sparse", "fused", "bm25"}


@pytest.fixture
def folder(tmp_path):
    def write(name, lines):
        (tmp_path / name).write_text("\n".join(json.dumps(line) for line in lines))

    write("corpus.jsonl", [{"_id": i, "title": "", "text": t} for i, t in TEXTS.items()])
    write("queries.jsonl", [{"_id": i, "text": t} for i, (t, _) in QUESTIONS.items()])
    (tmp_path / "qrels").mkdir()
    rows = [f"{question}\t{document}\t1" for question, (_, document) in QUESTIONS.items()]
    (tmp_path / "qrels" / "test.tsv").write_text(
        "\n".join(["query-id\tcorpus-id\tscore", *rows, "q3\tmissing\t1", "q4\td1\t0"])
    )
    return tmp_path


def tables() -> list[str]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'rag%%' ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def test_every_method_is_measured_and_nothing_is_left(database, folder, as_owner):
    before = tables()
    call_command("evaluate_retrieval", str(folder), json=folder / "out.json", verbosity=0)
    results = json.loads((folder / "out.json").read_text())
    assert set(results) == METHODS
    for name, figures in results.items():
        assert set(figures) == {"hit@1", "hit@5", "mrr@10", "ndcg@10", "ms_p50", "ms_p95"}
        assert figures["hit@5"] == 1, name
        assert 0 < figures["ms_p50"] <= figures["ms_p95"]
    assert tables() == before
    with as_owner:
        assert not Chunk.objects.exists()


def test_without_vectors_the_words_are_still_measured(database, folder, settings):
    settings.EMBEDDINGS = "none"
    call_command("evaluate_retrieval", str(folder), json=folder / "out.json", verbosity=0)
    assert set(json.loads((folder / "out.json").read_text())) == {"lexical", "bm25"}


@pytest.mark.parametrize(
    ("ranking", "relevant", "expected"),
    [
        ([1, 2, 3], {1: 1.0}, (1, 1, 1, 1)),
        ([2, 1, 3], {1: 1.0}, (0, 1, 0.5, 0.6309)),
        ([9, 8, 7, 6, 5, 1], {1: 1.0}, (0, 0, 1 / 6, 0.3562)),
        ([3], {1: 1.0}, (0, 0, 0, 0)),
        ([1, 9, 2], {1: 2.0, 2: 1.0}, (1, 1, 1, 0.9502)),
    ],
)
def test_scores_are_those_of_the_textbook(ranking, relevant, expected):
    assert tuple(_scores(ranking, relevant).values()) == pytest.approx(expected, abs=1e-4)


def test_only_judged_questions_and_known_documents_count(folder):
    collection = read_folder(folder)
    assert len(collection.questions) == 3
    assert collection.relevant == [{0: 1.0}, {1: 1.0}, {2: 1.0}]
    assert collection.languages == ["fr"] * 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("corpus.jsonl", "not json", "corpus.jsonl"),
        ("corpus.jsonl", '{"_id": "1"}', "line 1: no '_id' or no 'text'"),
        ("qrels/test.tsv", "a\tb\tc\nq1\td1", "test.tsv"),
        ("queries.jsonl", "", "no question with a judgement"),
    ],
)
def test_a_folder_that_is_none_is_refused_with_the_reason(folder, name, content, said):
    (folder / name).write_text(content)
    with pytest.raises(CommandError, match=said):
        call_command("evaluate_retrieval", str(folder), verbosity=0)


def test_it_runs_from_a_fresh_clone(folder):
    """Nothing was migrated there: the command alone makes what it needs."""
    state = Path(tempfile.mkdtemp(prefix="carehelp-", dir="/tmp"))
    state.chmod(0o755)
    ours = {"CAREHELP_STATE_DIR": str(state), "DATABASE_URL": "", "EMBEDDINGS": "none"}
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", "evaluate_retrieval", folder, "--json", folder / "out"],
            cwd=settings.BASE_DIR,
            env={k: v for k, v in os.environ.items() if not k.startswith("PY")} | ours,
            capture_output=True,
            text=True,
        )
    finally:
        shutil.rmtree(state, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "out").read_text())["lexical"]["hit@5"] == 1


def test_kept_vectors_are_not_made_again(database, folder):
    kept = folder / "kept"
    kept.mkdir()
    evaluate(folder, kept=kept)
    told = []
    evaluate(folder, kept=kept, progress=lambda name, *_: told.append(name))
    assert "passages to vectors" not in told
    (folder / "corpus.jsonl").write_text(
        (folder / "corpus.jsonl").read_text() + '\n{"_id": "d5", "text": "Un texte de plus."}'
    )
    evaluate(folder, kept=kept, progress=lambda *said: told.append(said))
    assert ("passages to vectors", 1, 1) in told


def test_fused_search_beats_its_parts_and_bm25_on_english_health_questions(database):
    """77 questions in lay words, written after the search's weights were chosen, and never tuned on."""
    folder = Path(__file__).parent / "data" / "english_health"
    measured = evaluate(folder, kept=folder, only=("lexical", "dense", "fused", "bm25"))
    assert measured["fused"]["hit@5"] >= measured["bm25"]["hit@5"] + 0.05
    for figure in ("hit@5", "mrr@10", "ndcg@10"):  # hit@1 turns on single questions here
        better = max(measured[part][figure] for part in ("lexical", "dense"))
        assert measured["fused"][figure] >= better - 0.01, figure


def test_a_folder_in_one_language_is_read_in_it(folder):
    (folder / "corpus.jsonl").write_text(
        "\n".join(
            json.dumps({"_id": f"d{n}", "text": text})
            for n, text in enumerate(["What is it and how do you treat it?"] * 19 + ["Psoriasis"])
        )
    )
    assert read_folder(folder).languages == ["en"] * 20
