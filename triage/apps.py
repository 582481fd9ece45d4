from django.apps import AppConfig
from django.conf import settings


class TriageConfig(AppConfig):
    name = "triage"

    def ready(self) -> None:
        from triage import checks, rulebook  # noqa: F401

        rulebook.keep_in(settings.STATE_DIR)
