"""The database agrees with what the models declare, and nothing is left open."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import ProgrammingError, connections

from carehelp.database.access import THIRD_PARTY, Shared
from carehelp.database.identity import IdentityError, Principal, acting_as, run_as, through
from carehelp.database.owned import PatientOwned, owned_models

PATIENTS_ROLES = ("authenticated", "clinician", "carehelp_worker", "carehelp_gate")


def catalogue() -> dict[str, tuple[bool, bool, int]]:
    """Per table: ENABLE, FORCE, number of policies."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity, "
            "(SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) FROM pg_class AS c "
            "JOIN pg_namespace AS n ON n.oid = relnamespace "
            "WHERE nspname IN ('app', 'public') AND relkind IN ('r', 'p')"
        )
        return {
            name: (enabled, forced, count) for name, enabled, forced, count in cursor.fetchall()
        }


def test_every_table_of_patients_data_is_enabled_forced_and_has_policies(database: None) -> None:
    tables = catalogue()
    for model in owned_models():
        enabled, forced, policies = tables[model._meta.db_table]
        assert (enabled, forced, policies > 0) == (True, True, True), model._meta.db_table


def test_every_table_is_declared_as_patients_shared_or_a_packages(database: None) -> None:
    """A new table that says nothing of itself fails here, before it can hold patients' data."""
    ours = {m._meta.db_table for m in apps.get_models(include_auto_created=True) if _declared(m)}
    undeclared = set(catalogue()) - ours - set(THIRD_PARTY) - NOBODYS
    assert not undeclared


NOBODYS = {
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
}
"""Django's own groups and permissions: no login has a right on them."""


def _declared(model: type) -> bool:
    return issubclass(model, PatientOwned | Shared)


def test_a_column_that_names_a_user_makes_a_table_patients_data(database: None) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns "
            "WHERE column_name = 'user_id' AND table_schema IN ('app', 'public')"
        )
        named = {row[0] for row in cursor.fetchall()}
    owned = {model._meta.db_table for model in owned_models()}
    assert named - owned <= {"django_admin_log"}


@pytest.mark.parametrize("alias", ["default", "desk"])
def test_a_login_without_an_identity_may_touch_no_patients_table(
    database: None, alias: str
) -> None:
    for model in owned_models():
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            connections[alias].cursor() as cursor,
        ):
            cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}"')
    connections[alias].close()


def test_the_patients_login_cannot_become_a_clinician(database: None) -> None:
    with (
        acting_as(Principal.clinician("00000000-0000-0000-0000-000000000001")),
        pytest.raises(ProgrammingError, match="permission denied"),
        connections["default"].cursor() as cursor,
    ):
        cursor.execute("SELECT 1")
    connections["default"].close()


def test_the_desks_login_cannot_become_a_patient(database: None) -> None:
    with (
        acting_as(Principal.patient("00000000-0000-0000-0000-000000000001")),
        pytest.raises(ProgrammingError, match="permission denied"),
        connections["desk"].cursor() as cursor,
    ):
        cursor.execute("SELECT 1")
    connections["desk"].close()


async def test_a_forgotten_identity_is_an_error(database: None) -> None:
    from conversations.models import Message

    with pytest.raises(ProgrammingError, match="permission denied"):
        await run_as(lambda: Message.objects.count())


async def test_run_as_runs_as_the_principal_and_leaves_nothing_behind(database: None) -> None:
    def who() -> tuple[str, str, str]:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT current_user, session_user, current_setting('request.jwt.claims', true)"
            )
            row: tuple[str, str, str] = cursor.fetchone()
            return row

    with acting_as(Principal.patient("00000000-0000-0000-0000-000000000001")):
        role, login, claims = await run_as(who)
    assert (role, login) == ("authenticated", "carehelp_app")
    assert "000000000001" in claims
    assert (await run_as(who))[0] == "carehelp_app"
    assert not (await run_as(who))[2]


async def test_changing_identity_inside_a_transaction_is_an_error(database: None) -> None:
    def switch() -> None:
        with acting_as(Principal.worker()), connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")

    with (
        acting_as(Principal.patient("00000000-0000-0000-0000-000000000001")),
        pytest.raises(IdentityError, match="opened as authenticated"),
    ):
        await run_as(switch)


def test_applying_the_declarations_again_changes_nothing(database: None) -> None:
    from carehelp.database import access

    before = catalogue()
    with through("owner"):
        access.apply()
    assert catalogue() == before
