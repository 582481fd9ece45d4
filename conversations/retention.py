"""What goes when its time has come. Runs as the worker, now and then, in every process."""

from __future__ import annotations

from django.db.models.functions import Now

from conversations.attachments import erase_unclaimed
from conversations.models import Conversation


def erase_expired() -> int:
    """Conversations whose sitting is over and was not to be kept, and uploads that no message took;
    the database takes their rows too.
    """
    erased, _ = Conversation.objects.filter(expires_at__lt=Now()).delete()
    return erased + erase_unclaimed()
