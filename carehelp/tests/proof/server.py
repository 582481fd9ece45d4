"""One process with the flags of production: `python -m carehelp.tests.proof.server PORT`."""

from __future__ import annotations

import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")
    django.setup()

    from carehelp.management.commands.start import listen, serve

    serve(listen("127.0.0.1", int(sys.argv[1])), 1)
