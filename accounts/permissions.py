"""What the desk shows a clinician. Postgres' grants decide what they can do; this only hides menus."""

from __future__ import annotations

CLINICIANS = {
    "conversations": frozenset({"view", "change"}),
    "triage": frozenset({"view", "add", "change"}),
    "rag": frozenset({"view", "change"}),
}


def clinician_may(permission: str) -> bool:
    """`app.action_model`, as Django's admin asks; `app.view` for the app as a whole."""
    app, _, codename = permission.partition(".")
    return codename.partition("_")[0] in CLINICIANS.get(app, frozenset())
