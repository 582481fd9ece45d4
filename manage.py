#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it starts the embedded Postgres for the command."""

from __future__ import annotations

import os
import sys

from carehelp.errors import CarehelpError

# `start` takes its port first, then starts Postgres itself.
WITHOUT_DATABASE = {
    "help", "version", "--help", "--version", "collectstatic", "compilemessages", "start",
}  # fmt: skip


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")
    from django.core.management import execute_from_command_line

    try:
        if WITHOUT_DATABASE.isdisjoint(sys.argv[1:2] or ["help"]):
            start_postgres()
        execute_from_command_line(sys.argv)
    except CarehelpError as error:
        sys.exit(f"carehelp: {error}")


def start_postgres() -> None:
    from django.conf import settings

    from carehelp.database import embedded

    if not settings.DATABASE_URLS["default"]:
        embedded.ensure_running(embedded.data_folder(settings.STATE_DIR))


if __name__ == "__main__":
    main()
