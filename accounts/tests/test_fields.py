import base64
import os
import uuid

import pytest
from cryptography.exceptions import InvalidTag
from django.apps import apps
from django.core.exceptions import FieldError, ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from accounts.fields import EncryptedTextField, Sealed, UnknownKey, seal, unseal

USER, UID = uuid.uuid4(), uuid.uuid4()
Message = apps.get_model("conversations", "Message")


def key(number: int) -> str:
    return f"{number}:{base64.b64encode(os.urandom(32)).decode()}"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back_as_it_was(text):
    blob = seal(text, "messages.content", USER, UID)
    assert unseal(blob, "messages.content", USER, UID) == text


def test_the_same_text_is_never_sealed_alike():
    assert len({seal("fièvre", "t.c", USER, UID) for _ in range(50)}) == 50


def test_what_is_sealed_does_not_show_the_words():
    blob = seal("douleur thoracique", "messages.content", USER, UID)
    assert b"douleur" not in blob
    assert len(blob) == 2 + 12 + len("douleur thoracique") + 16


@pytest.mark.parametrize(
    ("column", "user", "uid"),
    [
        ("messages.details", USER, UID),
        ("conversations.content", USER, UID),
        ("messages.content", uuid.uuid4(), UID),
        ("messages.content", USER, uuid.uuid4()),
    ],
)
def test_a_value_that_was_moved_does_not_open(column, user, uid):
    blob = seal("fièvre", "messages.content", USER, UID)
    with pytest.raises(InvalidTag):
        unseal(blob, column, user, uid)


@given(st.integers(min_value=14), st.integers(1, 255))
def test_a_changed_byte_is_noticed(position, change):
    blob = bytearray(seal("fièvre depuis hier", "t.c", USER, UID))
    blob[14 + position % (len(blob) - 14)] ^= change
    with pytest.raises(InvalidTag):
        unseal(bytes(blob), "t.c", USER, UID)


@given(st.binary(max_size=60))
def test_bytes_that_we_did_not_seal_are_refused(blob):
    with pytest.raises((UnknownKey, InvalidTag)):
        unseal(blob, "t.c", USER, UID)


def test_the_first_key_seals_and_every_key_opens(settings):
    old, new = key(1), key(2)
    settings.FIELD_ENCRYPTION_KEYS = [old]
    before = seal("fièvre", "t.c", USER, UID)
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert unseal(before, "t.c", USER, UID) == "fièvre"
    assert (before.key_number, seal("toux", "t.c", USER, UID).key_number) == (1, 2)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    with pytest.raises(UnknownKey, match="no key 1"):
        unseal(before, "t.c", USER, UID)


@pytest.mark.parametrize(
    "keys", [[], ["1:trop-court"], ["300:" + "A" * 43 + "="], ["sans numero"], [key(1), key(1)]]
)
def test_keys_that_are_none_are_said_at_once(settings, keys):
    settings.FIELD_ENCRYPTION_KEYS = keys
    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS"):
        seal("fièvre", "t.c", USER, UID)


def message(**fields):
    return Message(user_id=USER, conversation_id=1, role="user", **fields)


def test_a_row_opens_what_the_database_gives():
    written = message(content="fièvre")
    field = Message._meta.get_field("content")
    stored = field.pre_save(written, True)
    assert isinstance(stored, Sealed)
    read = message(uid=written.uid, content=field.from_db_value(bytes(stored), None, None))
    assert isinstance(read.__dict__["content"], Sealed)
    assert read.content == read.content == "fièvre"


def test_nothing_stays_nothing():
    field = Message._meta.get_field("content")
    assert field.pre_save(message(content=None), True) is None
    assert message().content is None


@pytest.mark.parametrize("value", [b"octets", 12, ["liste"]])
def test_only_text_is_taken(value):
    with pytest.raises(TypeError, match="takes text"):
        message(content=value)


def test_plain_text_is_never_sent_to_the_database():
    with pytest.raises(TypeError, match="is encrypted"):
        Message._meta.get_field("content").get_db_prep_value("clair", None)


@pytest.mark.parametrize("lookup", ["exact", "contains", "in", "startswith", "gt"])
def test_an_encrypted_column_cannot_be_searched(lookup):
    with pytest.raises(FieldError):
        Message.objects.filter(**{f"content__{lookup}": "fièvre"})


def test_an_encrypted_field_is_not_dumped():
    with pytest.raises(TypeError, match="may not be dumped"):
        Message._meta.get_field("content").value_to_string(message(content="fièvre"))


def test_only_marked_fields_are_granted_to_key_rotation():
    assert EncryptedTextField.sealed
