from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from carehelp.database.identity import through
from triage import stored
from triage.lines import BadRule


class Command(BaseCommand):
    help = (
        "Bring the rules and contacts of the files into the database. What a clinician has edited "
        "or signed stays as it is. A rule that cannot be used is named, and nothing is changed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with through("owner"), transaction.atomic(using="owner"):
                rules, contacts = stored.load_rules(), stored.load_contacts()
        except BadRule as error:
            raise CommandError(f"Refused, nothing was changed: {error}") from error
        if options["verbosity"]:
            self.stdout.write(f"Rules: {rules}\nContacts: {contacts}")
            if rules.kept:
                self.stdout.write(f"A clinician's, kept: {', '.join(rules.kept)}")
