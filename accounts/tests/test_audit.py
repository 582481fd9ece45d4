import asyncio
from uuid import UUID

import pytest
from django.db import ProgrammingError, connections, transaction

from accounts import audit, services
from accounts.models import AccessLog, Pseudonym
from accounts.tests.conftest import ask_as, meeting
from carehelp.database.identity import Principal, acting_as, through


def at_the_desk(clinician, work, *args, **kwargs):
    try:
        who = Principal.clinician(clinician)
        with through("desk"), acting_as(who), transaction.atomic(using="desk"):
            return work(*args, **kwargs)
    finally:
        connections["desk"].close()


def as_worker(work, *args):
    try:
        with acting_as(Principal.worker()), transaction.atomic():
            return work(*args)
    finally:
        connections["default"].close()


@pytest.fixture
def clinician(database):
    services.ensure_first_clinician()
    [(user_id,)] = ask_as("carehelp_gate", "SELECT user_id FROM credentials WHERE is_staff")
    return user_id


def look(clinician, ids=(1,), patients=()):
    at_the_desk(
        clinician,
        audit.record_view,
        clinician,
        "clinician",
        "case",
        list(ids),
        "review",
        "10.0.0.1",
        patients=patients,
    )


def tamper(query):
    """As nobody in Carehelp can: past the grants and policies, as a superuser."""
    import psycopg
    from django.conf import settings

    from carehelp.database import embedded

    server = embedded.ensure_running(embedded.data_folder(settings.STATE_DIR), durable=False)
    dbname = connections["owner"].settings_dict["NAME"]
    url = server.url(embedded.SUPERUSER, dbname)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(query)


def test_a_view_is_on_record(clinician):
    look(clinician, ids=[7, 9])
    [row] = at_the_desk(clinician, lambda: list(AccessLog.objects.all()))
    assert (row.actor, row.role, row.kind, row.ids) == (clinician, "clinician", "case", ["7", "9"])
    assert (row.reason, row.address) == ("review", "10.0.0.1")


def test_a_view_cannot_be_put_in_a_colleagues_name(clinician):
    with pytest.raises(ProgrammingError, match="row-level security"):
        at_the_desk(
            clinician, audit.record_view, UUID(int=7), "clinician", "case", [1], "review", ""
        )


@pytest.mark.parametrize(
    "query", ["UPDATE access_log SET reason = 'rien'", "DELETE FROM access_log"]
)
def test_the_log_is_only_added_to(clinician, query):
    look(clinician)
    for role, alias in (("clinician", "desk"), ("carehelp_worker", "owner")):
        with pytest.raises(ProgrammingError, match="permission denied"):
            ask_as(role, query, alias=alias)


async def test_patients_stand_in_the_log_by_pseudonym_and_erasure_unlinks_them(api):
    await asyncio.to_thread(services.ensure_first_clinician)
    rows = await asyncio.to_thread(
        ask_as, "carehelp_gate", "SELECT user_id FROM credentials WHERE is_staff"
    )
    clinician = rows[0][0]
    body = await api.register()
    patient = UUID(body["user"]["id"])
    await asyncio.to_thread(look, clinician, [1], [patient])
    await asyncio.to_thread(look, clinician, [2], [patient])
    log = await asyncio.to_thread(
        at_the_desk, clinician, lambda: list(AccessLog.objects.values_list("patients", flat=True))
    )
    assert log[0] == log[1] != [patient]
    assert (await api("DELETE", "me", token=body["access_token"]))[0] == 204
    left = await asyncio.to_thread(at_the_desk, clinician, lambda: Pseudonym.objects.count())
    kept = await asyncio.to_thread(at_the_desk, clinician, lambda: AccessLog.objects.count())
    assert (left, kept) == (0, 2)


def test_batches_are_chained(clinician):
    for number in range(5):
        look(clinician, ids=[number])
    assert as_worker(audit.seal) == 5
    look(clinician, ids=[5])
    assert as_worker(audit.seal) == 1
    assert as_worker(audit.seal) == 0
    assert as_worker(audit.broken_seals) == []


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE app.access_log SET reason = 'autre' WHERE ids = '{2}'",
        "DELETE FROM app.access_log WHERE ids = '{2}'",
        "UPDATE app.access_log SET at = at - interval '1 day' WHERE ids = '{2}'",
    ],
)
def test_a_row_that_was_changed_or_removed_later_shows(clinician, query):
    for number in range(3):
        look(clinician, ids=[number])
    as_worker(audit.seal)
    look(clinician)
    as_worker(audit.seal)
    tamper(query)
    assert len(as_worker(audit.broken_seals)) == 1


def test_a_batch_that_was_replaced_breaks_the_chain_after_it(clinician):
    for _ in range(2):
        look(clinician)
        as_worker(audit.seal)
    tamper("UPDATE app.access_seals SET digest = sha256('autre') WHERE id = 1")
    assert as_worker(audit.broken_seals) == [1, 2]


def test_two_workers_seal_each_row_once(clinician, monkeypatch):
    monkeypatch.setattr(audit, "_digest", meeting(audit._digest))
    for number in range(6):
        look(clinician, ids=[number])

    async def both():
        return await asyncio.gather(*(asyncio.to_thread(as_worker, audit.seal) for _ in range(2)))

    assert sum(asyncio.run(both())) == 6
    monkeypatch.undo()
    assert as_worker(audit.broken_seals) == []
