"""What production refuses to start with, as an operator sees it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from carehelp.checks import settings_are_safe
from carehelp.database import embedded
from carehelp.tests.proof.site import own_database
from carehelp.tests.test_start import free_port

SAFE = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "k" * 50,
    "JWT_SECRET": "j" * 50,
    "FIELD_ENCRYPTION_KEYS": "1:" + base64.urlsafe_b64encode(b"e" * 32).decode(),
    "ALLOWED_HOSTS": "carehelp.example",
    "CORS_ALLOW_ORIGINS": "https://carehelp.example",
    "EMBEDDINGS": "none",
}


@pytest.fixture(scope="module")
def urls(postgres: embedded.Server) -> Iterator[dict[str, str]]:
    with own_database(postgres) as made:
        yield made


def start(tmp_path: Path, values: dict[str, str]) -> tuple[int, str]:
    """Starts, and says what it said; one that answers is stopped at once."""
    ours = {"CAREHELP_STATE_DIR": str(tmp_path), "PORT": str(free_port())} | SAFE | values
    process = subprocess.Popen(
        [sys.executable, "manage.py", "start"],
        cwd=settings.BASE_DIR,
        env={k: v for k, v in os.environ.items() if not k.startswith("PY")} | ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    for line in process.stdout or ():
        said += line
        if "answers at" in line:
            process.terminate()
    return process.wait(60), said


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("JWT_SECRET", "change_this_secret", "E001"),
        ("JWT_SECRET", "short", "E002"),
        ("SECRET_KEY", "missing", "E003"),
        ("FIELD_ENCRYPTION_KEYS", [], "E004"),
        ("DEBUG", True, "E005"),
        ("ALLOWED_HOSTS", [], "E006"),
        ("CORS_ALLOW_ORIGINS", ["*"], "E007"),
        ("DATABASE_URLS", {"default": "", "desk": "", "owner": ""}, "E008"),
        ("DATABASE_URLS", {"default": "postgres:///x", "desk": "", "owner": ""}, "E009"),
    ],
)
def test_each_unsafe_setting_is_named(settings: Any, name: str, value: Any, why: str) -> None:
    settings.PRODUCTION = True
    settings.ALLOWED_HOSTS = ["carehelp.example"]
    settings.CORS_ALLOW_ORIGINS = ["https://carehelp.example"]
    settings.DATABASE_URLS = dict.fromkeys(("default", "desk", "owner"), "postgres:///x")
    assert [found.id for found in settings_are_safe(None) if found.is_serious()] == []
    setattr(settings, name, value)
    assert [found.id for found in settings_are_safe(None) if found.is_serious()] == [
        f"carehelp.{why}"
    ]


@pytest.mark.parametrize("command", [["manage.py", "start"], ["-c", "import carehelp.asgi"]])
def test_no_way_of_starting_serves_with_unsafe_settings(command: list[str]) -> None:
    """`manage.py`, and any ASGI server that only imports the application: all faults at once."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PY")}
    refused = subprocess.run(
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env=environment | {"ENVIRONMENT": "production", "DATABASE_URL": ""},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    for code in ("E001", "E003", "E004", "E006", "E007", "E008"):
        assert f"carehelp.{code}" in refused.stderr


def test_a_login_above_row_level_security_is_refused(
    postgres: embedded.Server, urls: dict[str, str], tmp_path: Path
) -> None:
    above = {"DATABASE_URL": urls["ADMIN"]}
    code, said = start(tmp_path, urls | above)
    assert (code, "is a superuser" in said, "Traceback" in said) == (1, True, False), said


def test_the_tables_owner_is_refused_as_the_desks_login(
    urls: dict[str, str], tmp_path: Path
) -> None:
    owner = {"DATABASE_DESK_URL": urls["DATABASE_OWNER_URL"]}
    code, said = start(tmp_path, urls | owner)
    assert (code, "DATABASE_DESK_URL" in said, "owns the tables" in said) == (1, True, True), said


def test_it_starts_with_the_logins_that_were_made_for_it(
    urls: dict[str, str], tmp_path: Path
) -> None:
    code, said = start(tmp_path, urls)
    assert (code, "answers at" in said) == (0, True), said
