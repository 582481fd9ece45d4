from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from accounts.services import ensure_first_clinician
from carehelp.database import embedded, logins
from carehelp.database.prepare import prepare_urls
from carehelp.errors import CarehelpError
from carehelp.server import serve

# Reference data, in this order: a command, and the files whose change makes it run again.
LOADED: tuple[tuple[str, tuple[str | Path, ...]], ...] = (
    ("load_rules", (settings.BASE_DIR / "fixtures",)),
    ("ingest", (settings.GUIDANCE_DIR, settings.CAMEROON_DATA_CSV, settings.PATIENT_DATA_PATH)),
)
DEVELOPMENT_DRAIN_SECONDS = 5.0


class Command(BaseCommand):
    help = (
        "Start Carehelp with all that it needs: Postgres (the embedded one, without DATABASE_URL), "
        "migrations, reference data, a first clinician. Ctrl-C stops what it started."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument(
            "--workers", type=int, help="as in production, with so many processes that answer"
        )

    def handle(self, *args: Any, host: str, port: int, workers: int | None, **options: Any) -> None:
        if workers is not None and workers < 1:
            raise CommandError(f"{workers} workers answer nobody: make serve WORKERS=2")
        signal.signal(signal.SIGTERM, _leave)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Into a pipe or a container's log, too, the password is seen when it is made.
            sys.stdout.reconfigure(line_buffering=True)
        listening = listen(host, port)
        try:
            self._prepare()
            self.stdout.write(f"Carehelp answers at http://localhost:{port} (Ctrl-C stops it)")
            serve(listening, workers or 1, *_patience(workers))
        except CarehelpError as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}".strip()) from error
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")

    def _prepare(self) -> None:
        urls = settings.DATABASE_URLS
        if not urls["default"]:
            self._start_postgres()
        elif not all(urls.values()):
            self._prepare_single_login()
        self._migrate()
        if settings.PRODUCTION:
            logins.refuse_powerful()
        for command, files in LOADED:
            if command in get_commands():
                self._load(command, files)
        self._introduce_clinician()

    def _start_postgres(self) -> None:
        folder = embedded.data_folder(settings.STATE_DIR)
        if not (folder / "data").exists():
            self.stdout.write(f"Making a Postgres in {folder} ...")
        if "CAREHELP_IN_CONTAINER" in os.environ and not os.path.ismount(settings.STATE_DIR):
            self.stderr.write(
                f"WARNING: the database is inside this container and goes with it. Keep "
                f"{settings.STATE_DIR} on a volume, or set DATABASE_URL."
            )
        embedded.ensure_running(folder)

    def _prepare_single_login(self) -> None:
        self.stderr.write(
            "WARNING: DATABASE_URL alone: one login serves patients, clinicians and migrations. "
            "Set DATABASE_DESK_URL and DATABASE_OWNER_URL too where the host gives several."
        )
        for warning in prepare_urls(settings.DATABASE_URLS, "").warnings:
            self.stderr.write(f"WARNING: {warning}")

    def _migrate(self) -> None:
        executor = MigrationExecutor(connections["owner"])
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if pending:
            self.stdout.write(f"Migrating the database ({len(pending)} steps) ...")
        call_command("migrate", database="owner", interactive=False, verbosity=0)

    def _introduce_clinician(self) -> None:
        email, password = ensure_first_clinician()
        if password:
            self.stdout.write(
                f"A clinician to begin with: {email}, one-time password {password} (shown only now)"
            )

    def _load(self, command: str, files: tuple[str | Path, ...]) -> None:
        digest = digest_of(files)
        loaded = loaded_digests()
        if loaded.get(command) == digest:
            return
        self.stdout.write(f"Loading reference data ({command}) ...")
        call_command(command)
        remember({**loaded, command: digest})


def _patience(workers: int | None) -> tuple[float, float]:
    """Seconds before connections are refused, and for running answers; short while developing."""
    if settings.PRODUCTION or workers is not None:
        return settings.DRAIN_DELAY_SECONDS, settings.DRAIN_SECONDS
    return 0.0, min(DEVELOPMENT_DRAIN_SECONDS, settings.DRAIN_SECONDS)


def _leave(signal_number: int, frame: object) -> None:
    """SIGTERM ends like Ctrl-C: what was started is stopped on the way out."""
    sys.exit(0)


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything is started; it is handed to the server as it is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        raise CommandError(
            f"Port {port} of {host} cannot be used ({error}): stop what uses it, "
            f"or choose another: make run PORT={port + 1 if port < 65535 else 8000}"
        ) from error
    return listening


def digest_of(paths: tuple[str | Path, ...]) -> str:
    """Of the contents of files and folders; what is not there counts as empty."""
    whole = hashlib.sha256()
    for file in _files(paths):
        whole.update(f"{file}\0".encode())
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()


def _files(paths: tuple[str | Path, ...]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.is_file())
        elif path.is_file():
            yield path


def loaded_digests() -> dict[str, str]:
    """What this database was loaded with: kept in the database, so that they cannot disagree."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT obj_description('app'::regnamespace, 'pg_namespace')")
        (comment,) = cursor.fetchone()
    return json.loads(comment) if comment else {}


def remember(digests: dict[str, str]) -> None:
    with connections["owner"].cursor() as cursor:
        literal = json.dumps(digests).replace("'", "''")
        cursor.execute(f"COMMENT ON SCHEMA app IS '{literal}'")
