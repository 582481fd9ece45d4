"""For those who pay by the byte (`Save-Data: on`, or the account's `save_data`): the same turn with
what a person needs and nothing that only a screen with room would show.
"""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from conversations.live import PILE_SECONDS

FRAME_SECONDS = 1.0
CONTACTS = 3
_TRIAGE = ("level", "conversation_level", "subject", "tone", "questions")
_SOURCE = ("id", "title", "url", "signed")
_CONTACT = ("name", "phone", "stale")


def wanted(request: Request) -> bool:
    """Asked for by this request, or by the account once and for all."""
    saves = bool(getattr(request.user, "save_data", False))
    return asked_for(request.headers.get("Save-Data", ""), saves)


def pile(saves_data: bool) -> float:
    """Seconds that words may wait for more of them."""
    return FRAME_SECONDS if saves_data else PILE_SECONDS


def asked_for(header: str, account_saves: bool) -> bool:
    asked = header.strip().casefold()
    return asked == "on" or (asked != "off" and account_saves)


def lean(turn: dict[str, Any]) -> dict[str, Any]:
    """Without nulls, empty lists and repeats; the advice is not said twice."""
    shorter = turn | {
        "triage": lean_triage(turn.get("triage") or {}, turn.get("response", "")),
        "sources": [_only(source, _SOURCE) for source in turn.get("sources", [])],
    }
    return {key: value for key, value in shorter.items() if value not in (None, [], {}, "")}


def lean_triage(triage: dict[str, Any], said: str = "") -> dict[str, Any]:
    """`said` is what the patient reads anyway."""
    shorter = _only(triage, _TRIAGE)
    shorter["rules"] = [_only(rule, ("id", "title", "signed")) for rule in triage.get("rules", [])][
        :1
    ]
    contacts = triage.get("contacts", [])[:CONTACTS]
    shorter["contacts"] = [_only(contact, _CONTACT) for contact in contacts]
    advice = triage.get("advice", "")
    shorter["advice"] = "" if advice and advice in said else advice
    return {key: value for key, value in shorter.items() if value not in (None, [], "")}


def _only(whole: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: whole[key] for key in keys if key in whole}
