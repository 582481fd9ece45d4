from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services


class Command(BaseCommand):
    help = "Makes a clinician, and prints the one-time password for the first sign-in at /admin/."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", required=True, help="As patients and colleagues may see it.")

    def handle(self, *args: Any, email: str, name: str, **options: Any) -> None:
        try:
            password = services.create_clinician(email, name)
        except ValueError as error:
            raise CommandError(str(error)) from error
        if password is None:
            raise CommandError(f"{email} has an account already.")
        self.stdout.write(f"{email}  {password}")
        self.stderr.write("Shown once. It must be changed at the first sign-in.")
