"""One declaration a table: who owns its rows, who may do what, how long they stay.

Policies, grants, export, erasure and retention all follow from `PatientOwned.ownership`. After each
migration `carehelp.database.access` makes the database agree with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from django.apps import apps
from django.db import models

ALL = ("*",)
NONE: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grants:
    """Columns (not model fields) that a role may touch; `ALL` for every column, `NONE` for no right.

    The conditions are SQL, added to the role's policy: which rows are seen (and deleted), which new
    rows are accepted, which rows may change, and into what.
    """

    select: tuple[str, ...] = NONE
    insert: tuple[str, ...] = NONE
    update: tuple[str, ...] = NONE
    delete: bool = False
    where: str = ""
    insert_check: str = ""
    update_where: str = ""
    update_check: str = ""


@dataclass(frozen=True, slots=True)
class Ownership:
    """How a table belongs to patients.

    `owner` is the column with the owner's UUID. `parent` is `(column, table)`: new rows are accepted
    only under a parent row of the same owner, since foreign keys look past row level security.
    `patient`, `clinician`, `worker` and `gate` say what each role may do; a patient's rows are always
    limited to their own. `export` names the fields of a person's export, in order; a table that holds
    nothing a person could read is left out with `NONE`. `retention` says in a sentence when rows go.
    """

    retention: str
    owner: str = "user_id"
    parent: tuple[str, str] | None = None
    patient: Grants = field(default_factory=Grants)
    clinician: Grants = field(default_factory=Grants)
    worker: Grants = field(default_factory=Grants)
    gate: Grants = field(default_factory=Grants)
    export: tuple[str, ...] = NONE

    @property
    def roles(self) -> Mapping[str, Grants]:
        return {
            "authenticated": self.patient,
            "clinician": self.clinician,
            "carehelp_worker": self.worker,
            "carehelp_gate": self.gate,
        }


class PatientOwned(models.Model):
    """Base of every table that holds patients' data."""

    ownership: ClassVar[Ownership]

    class Meta:
        abstract = True


def owned_models() -> list[type[PatientOwned]]:
    """Every table of patients' data, parents before children."""
    return [m for m in apps.get_models() if issubclass(m, PatientOwned)]
