"""Secrets of a development checkout: made once, kept in its state folder, readable by nobody else."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from carehelp.errors import CarehelpError


def development_secrets(folder: Path) -> dict[str, str]:
    """`SECRET_KEY`, `JWT_SECRET` and `FIELD_ENCRYPTION_KEYS`, the same at every start.

    The file is linked into place whole, so of two processes that start together one wins and both
    use its secrets.
    """
    path = folder / "secrets.json"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _write_once(path, json.dumps(_fresh(), indent=1))
        secrets_: dict[str, str] = json.loads(path.read_text())
    except OSError as error:
        raise CarehelpError(
            f"Carehelp cannot keep its state in {folder} ({error.strerror}): make room there and "
            "give this user the right to write, or name another folder in CAREHELP_STATE_DIR."
        ) from error
    return secrets_


def _fresh() -> dict[str, str]:
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "FIELD_ENCRYPTION_KEYS": f"1:{key}",
    }


def _write_once(path: Path, text: str) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
