"""People and cases for the tests of the desk, made with the rights that make them in production."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import Any

import httpx
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.db import connections, transaction

from accounts import gate, passwords, services
from accounts.models import Credential, User
from carehelp.database.identity import Principal, acting_as, through
from conversations.models import Case, Conversation, Message

PASSWORD = "tres-long-2026"
WORDS = "mon bébé de 3 semaines a de la fièvre"
RULES = [{"id": "newborn-fever", "title": "Message important", "matched": ["fièvre"]}]


@contextmanager
def as_(principal: Principal, login: str = "default"):
    with through(login), acting_as(principal), transaction.atomic(using=login):
        yield


def clinician(email: str, name: str = "Dr Ngo") -> uuid.UUID:
    """Somebody who has replaced the password that they were given."""
    services.create_clinician(email, name)
    with through("desk"):
        user_id = gate.by_email(email).user_id
    with as_(Principal.clinician(user_id), "desk"):
        gate.set_own_password(passwords.hash_password_sync(PASSWORD))
    return user_id


def patient(**profile: Any) -> uuid.UUID:
    user_id = uuid.uuid4()
    with as_(Principal.patient(user_id)):
        User.objects.create(id=user_id, **profile)
        Credential.objects.create(user_id=user_id)
    return user_id


def case(
    user_id: uuid.UUID,
    words: str = WORDS,
    *,
    readable: bool = True,
    level: str = "emergency",
    reply: str = "Allez tout de suite à l'hôpital.",
    context: dict[str, Any] | None = None,
) -> Case:
    """A conversation of one turn, and the case that it opened."""
    details = {"mode": "rules_only", "triage": {"level": level, "rules": RULES}}
    with as_(Principal.patient(user_id)):
        conversation = Conversation.objects.create(
            user_id=user_id, title=words[:60], context=json.dumps({"triage": context or {}})
        )
        about = {"user_id": user_id, "conversation": conversation, "level": level}
        question = Message.objects.create(role="user", content=words, **about)
        answer = Message.objects.create(
            role="assistant", status="running", question=question, **about
        )
        opened = Case.objects.create(
            message=question, rules=["newborn-fever"], readable=readable, **about
        )
    with as_(Principal.worker()):
        fields = {"content": reply, "details": json.dumps(details)}
        sealed = {
            name: Message._meta.get_field(name).seal(text, answer) for name, text in fields.items()
        }
        Message.objects.filter(pk=answer.pk).update(status="completed", **sealed)
    return opened


def browser(**headers: str) -> httpx.AsyncClient:
    """One person's browser at the real application, cookies and all."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(get_asgi_application(), raise_app_exceptions=False),
        base_url="http://testserver",
        headers=headers,
    )


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD):
    await client.get("/admin/login/")
    return await post(client, "/admin/login/", username=email, password=password, next="/admin/")


async def post(client: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    token = client.cookies.get("csrftoken", "")
    return await client.post(path, data=form, headers={"X-CSRFToken": token})


@sync_to_async
def in_database(work: Any, *args: Any) -> Any:
    """From an async test: run `work` in a thread, and hand its connections back."""
    try:
        return work(*args)
    finally:
        for alias in ("default", "desk"):
            connections[alias].close()
