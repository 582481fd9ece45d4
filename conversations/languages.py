"""Which language a client means: `fr`, `fr-CM`, `french`, `français` and `fra_Latn` are one."""

from __future__ import annotations

import unicodedata

NAMES: dict[str, tuple[str, ...]] = {
    "fr": ("fra", "fre", "french", "francais"),
    "en": ("eng", "english", "anglais"),
    "pcm": ("wes", "pidgin", "cameroon pidgin", "kamtok", "pidgin english"),
    "ff": ("ful", "fub", "fuv", "fulfulde", "fulani", "peul"),
    "ewo": ("ewondo",),
    "dua": ("duala", "douala"),
    "bas": ("basaa", "bassa"),
    "ha": ("hau", "hausa", "haoussa"),
    "sg": ("sag", "sango"),
    "ln": ("lin", "lingala"),
}
_CODES = {name: code for code, names in NAMES.items() for name in (code, *names)}


def code_of(name: str) -> str | None:
    """Our code for a language, however it was named; None for one that we do not know."""
    folded = unicodedata.normalize("NFKD", name.strip().casefold())
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    return _CODES.get(plain) or _CODES.get(plain.replace("_", "-").split("-")[0])
