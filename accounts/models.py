"""Who someone is, what they agreed to, who looked at what.

`users` is the seed's table and holds nothing that opens a door: passwords and staff flags stand in
`credentials`, which only the functions of `accounts.gate` read.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from accounts.permissions import clinician_may
from carehelp.database.access import WRITE, Shared
from carehelp.database.owned import ALL, Grants, Ownership, PatientOwned

if TYPE_CHECKING:
    from accounts.gate import Account

# A clinician may call back whoever let them read their case.
HAS_READABLE_CASE = "EXISTS (SELECT 1 FROM cases AS c WHERE c.user_id = users.id AND c.readable)"


def of_user(kind: type[models.ForeignKey] = models.ForeignKey, **options: Any) -> models.ForeignKey:
    """A link to the owner; the database erases the row with the account (`operations.cascade`)."""
    return kind(
        "accounts.User",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        **options,
    )


class User(PatientOwned):
    """A person; a guest has no e-mail address. Django's user model, without a password of its own.

    What a person may do comes from `account`, which `accounts.gate` loads; without it, nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(null=True)  # noqa: DJ001  unique, or absent for a guest
    full_name = models.CharField(max_length=200, blank=True, default="")
    preferred_language = models.CharField(max_length=12, default="fr")
    phone = models.CharField(max_length=32, blank=True, default="")
    region = models.CharField(max_length=64, blank=True, default="")
    save_data = models.BooleanField(default=False)
    bytes_used = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    ownership = Ownership(
        owner="id",
        retention="When its owner erases it; a guest, 30 days after its last sign-in has run out.",
        patient=Grants(
            select=ALL,
            insert=ALL,
            update=(
                "full_name",
                "preferred_language",
                "phone",
                "region",
                "save_data",
                "bytes_used",
                "updated_at",
            ),
            delete=True,
        ),
        clinician=Grants(select=ALL, where=f"id = (SELECT app.uid()) OR {HAS_READABLE_CASE}"),
        worker=Grants(select=("id", "email", "created_at"), delete=True, where="email IS NULL"),
        gate=Grants(
            select=ALL,
            insert=ALL,
            update=("email", "updated_at"),
            update_where="email IS NULL",
        ),
        export=(
            "id",
            "email",
            "full_name",
            "preferred_language",
            "phone",
            "region",
            "save_data",
            "bytes_used",
            "created_at",
            "updated_at",
        ),
    )

    USERNAME_FIELD = EMAIL_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []
    is_authenticated = True
    is_anonymous = False
    account: Account | None = None
    _new_password: str | None = None

    class Meta:
        db_table = "users"
        constraints = [
            models.UniqueConstraint(fields=["email"], name="users_email_once"),
            models.CheckConstraint(
                condition=Q(email=Lower("email")), name="users_email_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email or str(self.id)

    def get_username(self) -> str:
        return self.email or ""

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name or self.get_username()

    @property
    def is_active(self) -> bool:
        return self.account is not None and self.account.is_active

    @property
    def is_staff(self) -> bool:
        return self.account is not None and self.account.is_staff

    @property
    def is_superuser(self) -> bool:
        return self.account is not None and self.account.is_superuser

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """What the desk shows; what a clinician can do is decided by Postgres' grants."""
        return self.is_active and (self.is_superuser or (self.is_staff and clinician_may(perm)))

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return self.has_perm(f"{app_label}.view")

    def get_session_auth_hash(self) -> str:
        """Changes with the password and with a sign-out everywhere, which ends the sessions."""
        return self.account.fingerprint if self.account else ""

    def get_session_auth_fallback_hash(self) -> list[str]:
        return []

    def has_usable_password(self) -> bool:
        return self.account is not None

    def check_password(self, raw_password: str) -> bool:
        from accounts import gate, passwords

        account = gate.by_email(self.email or "")
        return passwords.check_password_sync(raw_password, account.password if account else None)

    def set_password(self, raw_password: str) -> None:
        self._new_password = raw_password

    def save(self, *args: Any, **kwargs: Any) -> None:
        """With a new password, stores that alone: Django's password form sets it and saves."""
        if self._new_password is None:
            return super().save(*args, **kwargs)
        from accounts import gate, passwords

        assert self.account is not None
        made = gate.set_own_password(passwords.hash_password_sync(self._new_password))
        self.account = replace(self.account, must_change_password=False, fingerprint=made)
        self._new_password = None


class Credential(PatientOwned):
    """What opens the door. A guest has one too, without a password: it can be revoked."""

    user = of_user(models.OneToOneField, primary_key=True)
    password = models.TextField(null=True)  # noqa: DJ001  an empty hash is not a password
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    is_superuser = models.BooleanField(default=False)
    must_change_password = models.BooleanField(default=False)
    revoked_before = models.DateTimeField(null=True)
    last_login = models.DateTimeField(null=True)

    ownership = Ownership(
        retention="With its user.",
        patient=Grants(
            insert=ALL,
            insert_check=(
                "is_active AND NOT is_staff AND NOT is_superuser AND NOT must_change_password"
            ),
        ),
        gate=Grants(
            select=ALL,
            insert=ALL,
            update=("password", "must_change_password", "revoked_before", "last_login"),
        ),
    )

    class Meta:
        db_table = "credentials"


class Consent(PatientOwned):
    """One answer to one question, never changed: the newest of a purpose is in force."""

    class Purpose(models.TextChoices):
        STORE_HISTORY = "store_history"
        AI_PROVIDER_ABROAD = "ai_provider_abroad"
        CLINICIAN_REVIEW = "clinician_review"

    user = of_user()
    purpose = models.CharField(max_length=20, choices=Purpose)
    granted = models.BooleanField()
    version = models.CharField(max_length=20)
    at = models.DateTimeField(db_default=Now())

    ownership = Ownership(
        retention="With its user.",
        patient=Grants(select=ALL, insert=ALL),
        export=("purpose", "granted", "version", "at"),
    )

    class Meta:
        db_table = "consents"
        indexes = [models.Index(fields=["user", "purpose", "-id"], name="consents_newest_first")]


class RefreshToken(PatientOwned):
    """One link of a family of tokens: each use makes the next one (`accounts.rotation`)."""

    user = of_user()
    family = models.UUIDField(default=uuid.uuid4)
    digest = models.BinaryField(unique=True)
    salt = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    successor = models.ForeignKey(
        "self", null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )

    ownership = Ownership(
        retention="With its user; when it has expired.",
        patient=Grants(select=ALL, insert=ALL, update=("used_at", "revoked_at", "successor_id")),
        worker=Grants(
            select=("id", "user_id", "expires_at", "revoked_at"),
            delete=True,
        ),
        gate=Grants(select=("digest", "user_id")),
    )

    class Meta:
        db_table = "refresh_tokens"
        indexes = [
            models.Index(fields=["family"], name="refresh_tokens_of_family"),
            models.Index(fields=["user"], name="refresh_tokens_of_user"),
            models.Index(fields=["expires_at"], name="refresh_tokens_expiring"),
        ]


class SocketTicket(PatientOwned):
    """Opens one WebSocket, once, within two minutes."""

    digest = models.BinaryField(primary_key=True)
    user = of_user()
    expires_at = models.DateTimeField()

    ownership = Ownership(
        retention="When it is used, or has expired.",
        patient=Grants(insert=ALL),
        worker=Grants(select=("digest", "expires_at"), delete=True),
        gate=Grants(select=ALL, delete=True),
    )

    class Meta:
        db_table = "socket_tickets"


class Pseudonym(PatientOwned):
    """The name under which a patient stands in the access log. Erasure takes it away."""

    user = of_user(models.OneToOneField, primary_key=True)
    pseudonym = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    ownership = Ownership(
        retention="With its user.",
        patient=Grants(select=ALL),
        clinician=Grants(select=ALL, insert=ALL),
    )

    class Meta:
        db_table = "pseudonyms"


class AccessSeal(PatientOwned):
    """A batch of the access log, chained by hash to the batch before it."""

    entries = models.IntegerField()
    previous = models.BinaryField()
    digest = models.BinaryField()
    at = models.DateTimeField(db_default=Now())

    ownership = Ownership(
        owner="id",
        retention="Never: it names nobody.",
        clinician=Grants(select=ALL),
        worker=Grants(select=ALL, insert=ALL),
    )

    class Meta:
        db_table = "access_seals"


class AccessLog(PatientOwned):
    """Who looked at what. Rows are added and, once, sealed; nothing else.

    `patients` are pseudonyms, `ids` the keys of the rows that were shown.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    actor = models.UUIDField()
    role = models.CharField(max_length=20)
    kind = models.CharField(max_length=40)
    ids = ArrayField(models.TextField())
    patients = ArrayField(models.UUIDField(), default=list)
    reason = models.TextField()
    address = models.CharField(max_length=64)
    at = models.DateTimeField(db_default=Now())
    seal = models.ForeignKey(
        AccessSeal, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )

    ownership = Ownership(
        owner="actor",
        retention="Never by Carehelp: pseudonymous from the start, it outlives what it is about.",
        clinician=Grants(
            select=ALL, insert=ALL, insert_check="actor = (SELECT app.uid()) AND seal_id IS NULL"
        ),
        worker=Grants(
            select=ALL,
            update=("seal_id",),
            update_where="seal_id IS NULL",
            update_check="seal_id IS NOT NULL",
        ),
    )

    class Meta:
        db_table = "access_log"
        indexes = [
            models.Index(
                fields=["at", "id"], condition=Q(seal__isnull=True), name="access_log_unsealed"
            ),
            models.Index(fields=["seal"], name="access_log_of_seal"),
            models.Index(fields=["-at"], name="access_log_newest_first"),
        ]


class RateLimit(Shared):
    """How often a key was used since its window began. Keys are hashes: they name nobody."""

    key = models.BinaryField(primary_key=True)
    count = models.IntegerField()
    resets_at = models.DateTimeField()

    app_rights = WRITE
    desk_rights = ()

    class Meta:
        db_table = "rate_limits"
