from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CarehelpConfig(AppConfig):
    name = "carehelp"
    label = "carehelp"

    def ready(self) -> None:
        from carehelp import checks  # noqa: F401
        from carehelp.database import access

        def agree(sender: object, using: str, **kwargs: object) -> None:
            """post_migrate fires once an app; the last one finds everything in place."""
            access.apply(using)

        post_migrate.connect(agree, sender=self, weak=False, dispatch_uid="carehelp.access")
