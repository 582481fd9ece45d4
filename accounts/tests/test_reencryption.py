import base64
import os
from io import StringIO
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, transaction

from accounts import reencryption
from accounts.fields import UnknownKey
from accounts.models import Credential, User
from carehelp.database.identity import Principal, acting_as

Conversation = apps.get_model("conversations", "Conversation")


def key(number):
    return f"{number}:{base64.b64encode(os.urandom(32)).decode()}"


def as_patient(user_id, work):
    try:
        with acting_as(Principal.patient(user_id)), transaction.atomic():
            return work()
    finally:
        connections["default"].close()


def conversations_of(user_id, count):
    def arrive():
        User.objects.create(id=user_id)
        Credential.objects.create(user_id=user_id)
        for number in range(count):
            Conversation.objects.create(user_id=user_id, title=f"Fièvre {number}")

    as_patient(user_id, arrive)


def titles(user_id):
    return as_patient(user_id, lambda: [each.title for each in Conversation.objects.order_by("id")])


def test_after_rotation_the_old_key_can_go(database, settings):
    old, new, user_id = key(1), key(2), uuid4()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    conversations_of(user_id, 5)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    with pytest.raises(UnknownKey):
        titles(user_id)
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("reencrypt", stdout=(said := StringIO()))
    assert "conversations.title: 5 sealed again" in said.getvalue()
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert titles(user_id) == [f"Fièvre {number}" for number in range(5)]


def test_it_goes_on_where_it_was_stopped(database, settings, monkeypatch):
    monkeypatch.setattr(reencryption, "BATCH", 2)
    old, new, user_id = key(1), key(2), uuid4()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    conversations_of(user_id, 5)
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    field = Conversation._meta.get_field("title")
    assert next(reencryption.reencrypt(field)) == 2
    assert list(reencryption.reencrypt(field)) == [2, 1]
    assert list(reencryption.reencrypt(field)) == []


def test_every_encrypted_column_is_found():
    found = {f"{f.model._meta.db_table}.{f.column}" for f in reencryption.sealed_columns()}
    assert {"messages.content", "messages.details", "conversations.context"} <= found
