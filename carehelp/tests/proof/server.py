"""Processes with the flags of production: `python -m carehelp.tests.proof.server PORT WORKERS`."""

from __future__ import annotations

import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")
    django.setup()

    from django.conf import settings

    from carehelp.management.commands.start import listen
    from carehelp.server import serve

    port, workers = map(int, sys.argv[1:])
    patience = settings.DRAIN_DELAY_SECONDS, settings.DRAIN_SECONDS
    serve(listen("127.0.0.1", port), workers, *patience)
