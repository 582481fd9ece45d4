import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from accounts import services
from accounts.backends import GateBackend
from carehelp.database.identity import Principal, acting_as, through


@pytest.fixture
def at_the_desk(database):
    with through("desk"):
        yield
    connections["desk"].close()


@pytest.fixture
def clinician(database):
    return services.ensure_first_clinician()


def test_the_first_clinician_is_made_once(clinician):
    email, password = clinician
    assert len(password) >= 12
    assert services.ensure_first_clinician() == (email, None)


def test_a_clinician_signs_in_and_is_told_to_change_the_password(clinician, at_the_desk):
    email, password = clinician
    user = GateBackend().authenticate(None, email.upper(), password)
    assert (user.is_staff, user.is_active, user.is_superuser) == (True, True, False)
    assert user.account.must_change_password
    assert GateBackend().get_user(user.id) == user


@pytest.mark.parametrize(
    ("email", "password"),
    [(None, "faux"), ("nul@example.cm", None), ("", ""), (None, ""), ("pas une adresse", "x")],
)
def test_nobody_else_does(clinician, at_the_desk, email, password):
    known, right = clinician
    email = known if email is None else email
    password = right if password is None else password
    assert GateBackend().authenticate(None, email, password) is None


async def test_a_patient_has_no_session_at_the_desk(api):
    import asyncio

    await api.register("awa@example.cm")

    def sign_in():
        with through("desk"):
            try:
                return GateBackend().authenticate(None, "awa@example.cm", "un mot de passe long")
            finally:
                connections["desk"].close()

    assert await asyncio.to_thread(sign_in) is None


def test_a_new_password_replaces_the_one_time_one_and_ends_other_sessions(clinician, at_the_desk):
    email, password = clinician
    user = GateBackend().authenticate(None, email, password)
    before = user.get_session_auth_hash()
    assert user.check_password(password)
    with acting_as(Principal.clinician(user.id)), transaction.atomic(using="desk"):
        user.set_password("un tout autre mot")
        user.save()
    fresh = GateBackend().authenticate(None, email, "un tout autre mot")
    assert GateBackend().authenticate(None, email, password) is None
    assert not fresh.account.must_change_password
    assert fresh.get_session_auth_hash() == user.get_session_auth_hash() != before


def test_the_desk_shows_a_clinician_their_work_and_not_the_accounts(clinician, at_the_desk):
    user = GateBackend().authenticate(None, *clinician)
    assert user.has_perm("conversations.view_case")
    assert user.has_module_perms("triage")
    assert not user.has_perm("conversations.delete_conversation")
    assert not user.has_perm("accounts.change_user")
    assert not user.has_module_perms("auth")


def test_a_clinician_is_made_from_the_command_line(database, capsys):
    call_command("create_clinician", email="Dr.Bih@example.cm", name="Dr Bih")
    email, password = capsys.readouterr().out.split()
    with through("desk"):
        user = GateBackend().authenticate(None, "dr.bih@example.cm", password)
        connections["desk"].close()
    assert user.full_name == "Dr Bih"
    for again in (email, "pas une adresse"):
        with pytest.raises(CommandError):
            call_command("create_clinician", email=again, name="Dr Bih")
