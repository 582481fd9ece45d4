"""From the environment to Django's DATABASES: three logins to one database.

`default` is the patients' web (carehelp_app), `desk` the clinicians' admin, `owner` migrates and
loads reference data. Without `DATABASE_URL` all three go to the embedded Postgres. With it alone one
login serves all, and takes on the narrower role for each transaction (single-login mode).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ

from carehelp.database import embedded

ENGINE = "carehelp.database"
LOGINS = {"default": "carehelp_app", "desk": "carehelp_desk", "owner": "carehelp_owner"}
SEARCH_PATH = "-c search_path=app,public"


def databases(urls: dict[str, str], state_dir: Path, pool_size: int) -> dict[str, dict[str, Any]]:
    """Django's `DATABASES` from the URL of each alias, "" where none is given.

    Nothing is started or connected to here.
    """
    if not urls["default"]:
        server = embedded.location(embedded.data_folder(state_dir))
        urls = {alias: server.url(login) for alias, login in LOGINS.items()}
    if all(urls.values()):
        return {alias: _alias(alias, url, pool_size, "") for alias, url in urls.items()}
    shared = urls["default"]
    return {alias: _alias(alias, shared, pool_size, login) for alias, login in LOGINS.items()}


def _pool(alias: str, size: int) -> dict[str, Any]:
    """Patients' work has a thread a connection, so it waits only where the database is gone."""
    if alias == "default":
        return {"min_size": 1, "max_size": size, "timeout": 2}
    return {"min_size": 1, "max_size": max(2, size // 2), "timeout": 10}


def _alias(alias: str, url: str, pool_size: int, base_role: str) -> dict[str, Any]:
    """One entry; `base_role` is what a shared login narrows itself to (the owner's is itself)."""
    config: dict[str, Any] = environ.Env.db_url_config(url)
    options = config.setdefault("OPTIONS", {})
    options["options"] = f"{options.get('options', '')} {SEARCH_PATH}".strip()
    if alias != "owner":
        options["pool"] = _pool(alias, pool_size)
    return config | {
        "ENGINE": ENGINE,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "ATOMIC_REQUESTS": False,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "BASE_ROLE": "" if alias == "owner" else base_role,
    }
