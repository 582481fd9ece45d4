"""Patients' words, voices and pictures at rest: AES-256-GCM, in fields that only `save()` and
`bulk_create()` write.

A sealed text is one format byte, one byte with the key's number, a 12-byte nonce, then ciphertext and
tag. What it belongs to (table, column, user, the row's client-made `uid`) is authenticated with it, so
a value moved to another row or column does not open. Keys come from `FIELD_ENCRYPTION_KEYS`, never
from `SECRET_KEY`; the first seals, all of them open.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from functools import cache
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.query_utils import DeferredAttribute

FORMAT = 1
NONCE_BYTES = 12
HEADER_BYTES = 2 + NONCE_BYTES


class Sealed(bytes):
    """Encrypted bytes, as they stand in the database; the only thing a column accepts."""

    __slots__ = ()

    @property
    def key_number(self) -> int:
        return self[1]


def seal(plain: str | bytes, column: str, user_id: UUID | str, uid: UUID | str) -> Sealed:
    """Encrypt `plain` for `column` ("table.column") of one row of one user, with the current key."""
    number, cipher = next(iter(_ring().items()))
    nonce = os.urandom(NONCE_BYTES)
    data = plain.encode() if isinstance(plain, str) else plain
    body = cipher.encrypt(nonce, data, _belongs_to(column, user_id, uid))
    return Sealed(bytes([FORMAT, number]) + nonce + body)


def unseal(blob: bytes, column: str, user_id: UUID | str, uid: UUID | str) -> str:
    """The text again; see `unseal_bytes`."""
    return unseal_bytes(blob, column, user_id, uid).decode()


def unseal_bytes(blob: bytes, column: str, user_id: UUID | str, uid: UUID | str) -> bytes:
    """The bytes again. Raises `cryptography.exceptions.InvalidTag` where it was changed or moved,
    `UnknownKey` where its key is not configured.
    """
    if len(blob) < HEADER_BYTES or blob[0] != FORMAT:
        raise UnknownKey("This is not a text that Carehelp sealed.")
    cipher = _ring().get(blob[1])
    if cipher is None:
        raise UnknownKey(f"FIELD_ENCRYPTION_KEYS has no key {blob[1]}, which sealed this text.")
    nonce, body = blob[2:HEADER_BYTES], blob[HEADER_BYTES:]
    return cipher.decrypt(nonce, bytes(body), _belongs_to(column, user_id, uid))


class UnknownKey(ValueError):
    """A text was sealed with a key that is not, or no longer, configured."""


def current_key_number() -> int:
    return next(iter(_ring()))


def _belongs_to(column: str, user_id: UUID | str, uid: UUID | str) -> bytes:
    return f"{column}:{_canonical(user_id)}:{_canonical(uid)}".encode()


def _canonical(id: UUID | str) -> str:
    return str(id if isinstance(id, UUID) else UUID(id))


def _ring() -> dict[int, AESGCM]:
    return _parsed(tuple(settings.FIELD_ENCRYPTION_KEYS))


@cache
def _parsed(keys: tuple[str, ...]) -> dict[int, AESGCM]:
    """`number:base64 of 32 bytes`, the current key first."""
    ring = dict(map(_key, keys))
    if not ring:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS is empty.")
    if len(ring) < len(keys):
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS gives one number to two keys.")
    return ring


def _key(text: str) -> tuple[int, AESGCM]:
    number, _, encoded = text.partition(":")
    try:
        secret = base64.b64decode(encoded.translate(_URL_SAFE), validate=True)
        if not 0 <= int(number) <= 255 or len(secret) != 32:
            raise ValueError
    except ValueError:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEYS wants number:key, the number 0 to 255, the key 32 bytes in base64."
        ) from None
    return int(number), AESGCM(secret)


_URL_SAFE = str.maketrans("-_", "+/")


class _SealedAttribute(DeferredAttribute):
    """Opens on first reading. Needs `__set__`: only a data descriptor wins over `__dict__`."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Sealed):
            value = instance.__dict__[self.field.attname] = self.field.open(value, instance)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        if value is not None and not isinstance(value, self.field.plain | Sealed):
            kind = "text" if self.field.plain is str else "bytes"
            raise TypeError(f"{self.field.name} takes {kind}")
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(models.BinaryField):
    """Text for Python, sealed bytes for Postgres. Its model needs `user_id` and a client-made `uid`.

    `filter()` knows `isnull` only. `update()` takes what `seal()` returned, never plain text.
    """

    descriptor_class = _SealedAttribute
    plain: type = str
    rows_at_once = 500
    """How many rows key rotation and export hold in memory."""
    sealed = True
    """Lets `carehelp.database.access` grant what key rotation needs."""

    def get_default(self) -> Any:
        return self.default if self.has_default() else None

    def seal(self, plain: Any, row: Any) -> Sealed:
        return seal(plain, self._place, row.user_id, row.uid)

    def open(self, blob: bytes, row: Any) -> Any:
        return unseal(blob, self._place, row.user_id, row.uid)

    @property
    def _place(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname)
        sealed = value is None or isinstance(value, Sealed)
        return value if sealed else self.seal(value, model_instance)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is not None and not isinstance(value, Sealed):
            raise TypeError(f"{self.name} is encrypted: write it with save() or bulk_create()")
        return super().get_db_prep_value(value, connection, prepared)

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def value_to_string(self, obj: Any) -> str:
        raise TypeError(f"{self.name} is encrypted and may not be dumped")


class EncryptedBinaryField(EncryptedTextField):
    """The same for bytes: a piece of a recording or a picture."""

    plain = bytes
    rows_at_once = 8

    def open(self, blob: bytes, row: Any) -> bytes:
        return unseal_bytes(blob, self._place, row.user_id, row.uid)


def encrypted_fields(model: type[models.Model]) -> Iterable[EncryptedTextField]:
    return [field for field in model._meta.fields if isinstance(field, EncryptedTextField)]
