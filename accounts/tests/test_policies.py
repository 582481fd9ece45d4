"""What each role can do to accounts, asked of Postgres itself, with the production logins."""

import asyncio
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connections

from accounts import consents, gate
from accounts.models import Consent, Credential, RefreshToken, User
from accounts.tests.conftest import ask_as
from carehelp.database.identity import Principal, acting_as, run_as, through

GATE = (
    "account_by_email(text)",
    "account(uuid)",
    "refresh_token_owner(bytea)",
    "redeem_ticket(bytea)",
    "note_sign_in(uuid)",
    "upgrade_guest(text, text)",
    "sign_out_everywhere()",
    "set_own_password(text)",
    "make_clinician(uuid, text, text, text)",
    "first_clinician()",
)


async def as_patient(user_id, work, *args):
    with acting_as(Principal.patient(user_id)):
        return await run_as(work, *args)


def run_sql(query, parameters=()):
    with connections["default"].cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall() if cursor.description else cursor.rowcount


async def two_people(api):
    one, two = await api.register("awa@example.cm"), await api.register("bih@example.cm")
    return UUID(one["user"]["id"]), UUID(two["user"]["id"])


async def test_requests_run_as_the_patients_role_through_the_apps_login(api):
    awa, _ = await two_people(api)
    who = await as_patient(awa, run_sql, "SELECT current_user::text, session_user::text, app.uid()")
    assert who == [("authenticated", "carehelp_app", awa)]


async def test_a_patient_sees_and_erases_one_user_only(api):
    awa, bih = await two_people(api)
    assert await as_patient(awa, lambda: [user.id for user in User.objects.all()]) == [awa]
    assert await as_patient(awa, run_sql, "DELETE FROM users WHERE id = %s", [bih]) == 0
    assert await as_patient(bih, lambda: User.objects.count()) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password FROM credentials",
        "SELECT user_id FROM credentials",
        "UPDATE credentials SET is_staff = true",
        "UPDATE credentials SET revoked_before = NULL",
        "DELETE FROM credentials",
        "UPDATE users SET email = 'autre@example.cm'",
        "UPDATE users SET created_at = now()",
        "UPDATE consents SET granted = true",
        "DELETE FROM consents",
        "UPDATE refresh_tokens SET expires_at = now() + interval '9 years'",
        "SELECT * FROM access_log",
        "INSERT INTO access_log (id) VALUES (gen_random_uuid())",
        "UPDATE pseudonyms SET pseudonym = gen_random_uuid()",
        "SELECT * FROM socket_tickets",
    ],
)
async def test_a_patient_has_no_right_to(api, statement):
    awa, _ = await two_people(api)
    with pytest.raises(ProgrammingError, match="permission denied"):
        await as_patient(awa, run_sql, statement)


async def test_a_patient_cannot_write_in_anothers_name(api):
    awa, bih = await two_people(api)
    rows = [
        Consent(user_id=bih, purpose="store_history", granted=True, version="1"),
        Credential(user_id=uuid4()),
        User(id=uuid4(), email="faux@example.cm"),
    ]
    for row in rows:
        with pytest.raises(ProgrammingError, match="row-level security"):
            await as_patient(awa, lambda row=row: row.save(force_insert=True))


@pytest.mark.parametrize(
    "flags",
    [{"is_staff": True}, {"is_superuser": True}, {"is_active": False}],
)
async def test_nobody_makes_their_own_credential_a_clinicians(database, flags):
    def arrive(user_id):
        User.objects.create(id=user_id)
        Credential.objects.create(user_id=user_id, **flags)

    with pytest.raises(ProgrammingError, match="row-level security"):
        await as_patient(user_id := uuid4(), arrive, user_id)


async def test_an_address_in_capitals_never_enters_the_table(database):
    user_id = uuid4()
    with pytest.raises(IntegrityError, match="users_email_lower_case"):
        await as_patient(user_id, lambda: User.objects.create(id=user_id, email="Awa@Example.cm"))


@pytest.mark.parametrize("function", GATE)
def test_a_gate_function_is_nobodys_who_has_no_use_for_it(database, function):
    """Owned by the gate, a fixed search path, not PUBLIC's, not the backup's."""
    query = (
        "SELECT pg_get_userbyid(proowner)::text, prosecdef, proconfig, proacl::text[] "
        "FROM pg_proc WHERE oid = ('app.' || %s)::regprocedure"
    )
    [(owner, definer, config, acl)] = ask_as("carehelp_gate", query, [function])
    assert (owner, definer) == ("carehelp_gate", True)
    assert config == ["search_path=pg_catalog, app, public, pg_temp"]
    granted = {entry.partition("=")[0] for entry in acl} - {"carehelp_gate"}
    assert granted == EXECUTE.get(function.partition("(")[0], {"carehelp_app", "carehelp_desk"})


EXECUTE = {
    "refresh_token_owner": {"carehelp_app"},
    "redeem_ticket": {"carehelp_app"},
    "upgrade_guest": {"authenticated"},
    "sign_out_everywhere": {"authenticated"},
    "set_own_password": {"clinician"},
    "make_clinician": {"carehelp_owner"},
    "first_clinician": {"carehelp_owner"},
}


async def test_a_patients_role_cannot_look_others_up(api):
    awa, bih = await two_people(api)
    for query in ("SELECT * FROM app.account(%s)", "SELECT * FROM app.make_clinician(%s,'','','')"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            await as_patient(awa, run_sql, query, [bih])


async def test_the_by_id_look_up_tells_no_password(api):
    awa, _ = await two_people(api)
    account = await run_as(gate.account, awa)
    assert account.password is None
    assert (await run_as(gate.by_email, "awa@example.cm")).password.startswith("argon2$argon2id$")


async def test_a_guest_takes_an_address_once(api):
    guest = UUID((await api.guest())["user"]["id"])
    assert await as_patient(guest, gate.upgrade_guest, "awa@example.cm", "hash")
    assert not await as_patient(guest, gate.upgrade_guest, "bih@example.cm", "hash")


async def test_a_clinician_sees_only_themself_where_no_case_is_readable(api):
    awa, _ = await two_people(api)

    with through("desk"), acting_as(Principal.clinician(awa)):
        assert await run_as(lambda: [user.id for user in User.objects.all()]) == [awa]


async def test_the_worker_reads_no_address_and_no_digest(api):
    await two_people(api)
    for query in ("SELECT full_name FROM users", "SELECT digest FROM refresh_tokens"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            await asyncio.to_thread(ask_as, "carehelp_worker", query)
    with pytest.raises(DatabaseError, match="permission denied"):
        await asyncio.to_thread(ask_as, "carehelp_worker", "SELECT * FROM credentials")


async def test_two_guests_may_both_have_no_address(api):
    one, two = await api.guest(), await api.guest()
    assert one["user"]["id"] != two["user"]["id"]


async def test_consents_of_another_do_not_show(api):
    awa, bih = await two_people(api)
    await as_patient(bih, consents.record, bih, "store_history", True)
    assert await as_patient(awa, consents.granted, bih) == frozenset()
    assert await as_patient(bih, consents.granted, bih) == {"store_history"}


async def test_tokens_are_kept_as_digests(api):
    body = await api.register()
    user_id = UUID(body["user"]["id"])
    rows = await as_patient(user_id, lambda: list(RefreshToken.objects.values_list("digest")))
    assert all(len(bytes(digest)) == 32 for (digest,) in rows)
    assert body["refresh_token"].encode() not in b"".join(bytes(d) for (d,) in rows)
