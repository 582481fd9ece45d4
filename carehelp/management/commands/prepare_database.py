from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from carehelp.database.prepare import prepare_urls
from carehelp.errors import CarehelpError


class Command(BaseCommand):
    help = (
        "Make roles, logins, database, extensions and schema in your own Postgres. Logins, "
        "passwords and the database's name are taken from DATABASE_URL, DATABASE_DESK_URL and "
        "DATABASE_OWNER_URL; DATABASE_ADMIN_URL does the work. Doing it again changes nothing."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--admin-url", default=settings.DATABASE_ADMIN_URL)

    def handle(self, *args: Any, admin_url: str, **options: Any) -> None:
        try:
            found = prepare_urls(settings.DATABASE_URLS, admin_url)
        except CarehelpError as error:
            raise CommandError(str(error)) from error
        for warning in found.warnings:
            self.stderr.write(f"Warning: {warning}")
        self.stdout.write(f"The database on Postgres {found.version} is ready to migrate.")
