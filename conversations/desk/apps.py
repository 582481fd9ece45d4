"""The desk as Django apps: its admin site, and the desk itself."""

from django.apps import AppConfig
from django.contrib.admin import apps
from django.utils.translation import gettext_lazy as _


class SiteConfig(apps.AdminConfig):
    """In place of `django.contrib.admin`: every `@admin.register` lands on the desk's site."""

    default = False
    default_site = "conversations.desk.site.DeskSite"


class DeskConfig(AppConfig):
    default = True
    name = "conversations.desk"
    label = "desk"
    verbose_name = _("Desk")
