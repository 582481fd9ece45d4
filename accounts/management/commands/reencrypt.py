from typing import Any

from django.core.management.base import BaseCommand

from accounts.reencryption import reencrypt, sealed_columns


class Command(BaseCommand):
    help = (
        "Seals texts again with the first of FIELD_ENCRYPTION_KEYS, so that the others can be "
        "removed. Can be stopped and started again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for field in sealed_columns():
            done = sum(reencrypt(field))
            self.stdout.write(f"{field.model._meta.db_table}.{field.column}: {done} sealed again")
