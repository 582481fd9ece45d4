"""Numbers a text states about a patient, with the units people write. Pure.

Facts and their units: age_years, age_days, gestation_weeks, postpartum_days, temperature_c,
systolic and diastolic (mmHg), pulse and breaths (a minute), saturation (%), glucose_mg_dl,
vomits and stools (a day), fits (count), duration_hours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import re2

from triage.text import word_set

Facts = dict[str, float]

NAMES = word_set(
    "age_years age_days gestation_weeks postpartum_days temperature_c systolic diastolic pulse "
    "breaths saturation glucose_mg_dl vomits stools fits duration_hours"
)

_HOURS = {
    "heure": 1, "heures": 1, "h": 1, "hour": 1, "hours": 1, "hrs": 1, "hr": 1,
    "jour": 24, "jours": 24, "j": 24, "day": 24, "days": 24,
    "semaine": 168, "semaines": 168, "sem": 168, "week": 168, "weeks": 168, "wk": 168,
    "mois": 730, "month": 730, "months": 730, "moon": 730,
    "an": 8766, "ans": 8766, "year": 8766, "years": 8766, "yr": 8766, "yrs": 8766,
    "minute": 1 / 60, "minutes": 1 / 60, "min": 1 / 60, "mins": 1 / 60,
}  # fmt: skip
_COUNT = {
    "un": 1, "une": 1, "one": 1, "a": 1, "deux": 2, "two": 2, "trois": 3, "three": 3, "tri": 3,
    "quatre": 4, "four": 4, "cinq": 5, "five": 5, "six": 6, "sept": 7, "seven": 7, "huit": 8,
    "eight": 8, "neuf": 9, "nine": 9, "dix": 10, "ten": 10, "quinze": 15, "vingt": 20,
    "twenty": 20, "trente": 30, "thirty": 30, "quarante": 40, "forty": 40, "cinquante": 50,
    "fifty": 50, "soixante": 60, "sixty": 60, "seventy": 70, "eighty": 80, "twelve": 12,
    "douze": 12, "onze": 11, "eleven": 11, "once": 1, "twice": 2,
}  # fmt: skip
_N = r"(\d+(?:\.\d+)?|" + "|".join(sorted(_COUNT, key=len, reverse=True)) + ")"
_UNIT = r"(" + "|".join(sorted(_HOURS, key=len, reverse=True)) + ")"
_GAP = r"(?: [a-z0-9./]+){0,%d} "

_COUNTED = re2.compile(rf"\d|\b{_N} (?:{_UNIT[1:-1]}|fois|times?|[a-z]*s)\b|\bborn\b")
_AMOUNT = re.compile(rf"\b{_N} {_UNIT}\b")
_GESTATION = re.compile(
    rf"\b(?:enceinte|grossesse|pregnant|bele|belle|pregnancy|gestation|along)\b{_GAP % 3}{_N} {_UNIT}\b"
    rf"|\b{_N} {_UNIT} (?:enceinte|de grossesse|pregnant|of pregnancy|d amenorrhee|gestation|bele|belle)\b"
)
_AFTER_BIRTH = re.compile(
    rf"\b(?:accouch\w*|deliver\w*|gave birth|postpartum|cesarienne|c section|born pikin|don born)\b"
    rf"{_GAP % 4}{_N} {_UNIT}\b"
    rf"|\b{_N} {_UNIT} (?:apres|after|since|post|depuis)(?: [a-z]+)? "
    rf"(?:accouch\w*|l accouch\w*|deliver\w*|birth|postpartum|born|cesarienne)\b"
)
_PREGNANT = (
    "enceinte",
    "grossesse",
    "pregnan",
    "bele",
    "belle",
    "gestation",
    "along",
    "amenorrhee",
)
_BIRTH = ("accouch", "deliver", "birth", "postpartum", "cesarienne", "section", "born")
_DIGITS = re.compile(r"\d\d")
_BORN = re.compile(rf"\b(?:born|naissance|naquit)\b(?: [a-z]+){{0,4}} {_N} {_UNIT}\b")
_BORN_NOW = re.compile(
    r"\b(?:born)(?: [a-z]+){0,2} (?:hier|yesterday|aujourd hui|today|ce matin|now)\b"
)
_DURING = re.compile(
    r"(?:depuis|for|since|pendant|il y a|ya|past|last|over|about|dans|after|apres|every|within|il y a deja|"
    r"toutes les|chaque|cela fait|ca fait|don last|don reach|reste|restait|within|in|derniers?|at|"
    r"in the last|these)(?: (?:environ|bientot|deja|presque|pres de|plus de|about|almost|over|"
    r"like|only|moins de|more than|at least|les|the|last|past|some))*$"
)
_PER = re.compile(r"(?:par|fois|times?|per|each)$")
_OLD = re.compile(r"^(?: [a-z]+)? (?:old|d age)\b")
_IS_AGED = re.compile(r"\b(?:(?:il|elle|qui) a|(?:he|she|who) is|(?:e|i|pikin|bebe) get)$")
_CHILD = re.compile(
    r"\b(?:bebe|baby|babies|nourrisson|enfant|fils|fille|garcon|pikin|child|boy|girl|son|daughter|"
    r"petite?|gosse|toddler|infant|nouveau|newborn|born|age|agee|old|jumeaux?|twins?|puce|bout)\b"
)
_CHILD_AFTER = re.compile(r"^ (?:bebe|baby|pikin|newborn|infant|nourrisson|girl|boy)\b")
_TEMPERATURE = (
    re.compile(
        r"\b(\d{2,3}(?:\.\d+)?)(?: de)? (?:degres?|degrees?|celsius|fahrenheit|de fievre|of fever|de temperature|fever)\b"
    ),
    re.compile(r"\b(\d{2,3}(?:\.\d+)?) [cf]\b"),
    re.compile(
        r"\b(?:fievre|temperature|temp|tep|fever|fevers|febrile|thermometre|thermometer|hot)\b(?: [a-z]+){0,5} (\d{2,3}(?:\.\d+)?)\b(?! (?:ans|years?|mois|months?|days?|jours?|heures?|hours?|semaines?|weeks?))"
    ),
    re.compile(r"\b(3[4-9]\.\d|4[0-2]\.\d)\b(?! (?:kg|ans|kilos?))"),
    re.compile(r"\b(?:a|at|fait|has|reach|monte) (38|39|40|41|42)\b(?! [a-z])"),
)
_PRESSURE = re.compile(r"\b(\d{1,3})/(\d{1,3})\b")
_TENSION = re.compile(
    r"\b(?:tension|ta|pression|bp|pressure)\b(?: [a-z]+){0,4} (\d{1,3})\b(?![/.])"
)
_NUMBERS = (
    ("pulse", ("poul", "pulse", "heart", "hr ", "frequence", "coeur", "battement"), re.compile(r"\b(?:pouls|pulse|heart rate|hr|frequence cardiaque|coeur bat|coeur tape|coeur run|heart beats?|heart beating|battements)\b(?: [a-z]+){0,4} (\d{2,3})\b"), (20, 300)),
    ("pulse", ("bpm", "battements", "beats"), re.compile(r"\b(\d{2,3}) (?:bpm|battements|beats)\b"), (20, 300)),
    ("breaths", ("respir", "breath", "rr "), re.compile(r"\b(?:respir\w*|breath\w*|respiratory rate|rr|frequence respiratoire)\b(?: [a-z]+){0,4} (\d{2,3})\b(?! (?:ans|years?|percent))"), (4, 150)),
    ("breaths", ("respiration", "breath", "cycles"), re.compile(r"\b(\d{2,3}) (?:respirations?|breaths?|cycles)\b"), (4, 150)),
    ("saturation", ("sat", "spo", "oxy"), re.compile(r"\b(?:sat\w*|spo2|spo 2|oxygen\w*|oxymetre|oximeter)\b(?: [a-z0-9]+){0,4} (\d{2,3})\b"), (40, 100)),
    ("saturation", ("sat", "spo", "oxy", "finger", "doigt"), re.compile(r"\b(\d{2}) percent\b"), (50, 100)),
    ("vomits", ("vomi", "throw", "rend"), re.compile(rf"\b(?:vomi\w*|throw\w*|rend)\b(?: [a-z]+){{0,3}} {_N} (?:fois|times?|time)\b"), (0, 200)),
    ("vomits", ("vomi",), re.compile(rf"\b{_N} (?:fois|times?) (?:qu il |qu elle |que |de )?(?:vomi\w*|vomissements?)\b"), (0, 200)),
    ("stools", ("diarrh", "selle", "caca", "toilet", "stool", "poop", "purg", "shit", "run"), re.compile(rf"\b(?:diarrh\w*|selles?|caca|toilettes?|stools?|poop\w*|purging|shit|toilet|belly run|run belle|run belly)\b(?: [a-z]+){{0,4}} {_N} (?:fois|times?|time)\b"), (0, 200)),
    ("stools", ("diarrh", "selle", "caca", "toilet", "stool", "poop", "purg", "shit", "run ", "running", "liquid", "water", "eau", "wc", "chie", "chi ", "coul", "belle", "ventre"), re.compile(rf"\b{_N} (?:fois|times?|selles?|stools?) ?(?:de |la |to |par jour |a day )*(?:diarrh\w*|selles?|stools?|toilettes?|liquides?|watery)?\b"), (0, 200)),
    ("fits", ("convuls", "crise", "seizure", "fit", "jerk"), re.compile(rf"\b(?:convuls\w*|crises?|seizures?|fits?|jerk\w*)\b(?: [a-z]+){{0,3}} {_N} (?:fois|times?|time)\b"), (0, 100)),
    ("fits", ("convulsion", "crise", "seizure", "fit"), re.compile(rf"\b{_N} (?:convulsions?|crises?|seizures?|fits)\b"), (2, 100)),
)  # fmt: skip
"""What is counted, beginnings of words without which it cannot be, how it is said, and what is
possible."""
_SUGAR = re.compile(
    r"\b(?:glycemie|glucose|sucre|sugar|dextro|gly)\b(?: [a-z]+){0,4} (\d+(?:\.\d+)?)(?: (mg|mmol|g))?\b"
)


def read_facts(text: str, *, about_child: bool = False) -> Facts:
    """Facts stated in a canonical text (`triage.text.normalise`)."""
    facts: Facts = {}
    if not _COUNTED.search(text):
        return facts
    for reader in _READERS:
        for name, value in reader(text, about_child):
            facts.setdefault(name, value)
    return facts


def number(word: str) -> float:
    return float(_COUNT.get(word) or word)


def _days(count: str, unit: str) -> float:
    return number(count) * _HOURS[unit] / 24


def _gestation(text: str, about_child: bool) -> Iterator[tuple[str, float]]:
    if found := _search(_GESTATION, _PREGNANT, text):
        count, unit = (part for part in found.groups() if part)
        weeks = _days(count, unit) / 7
        if weeks <= 45:
            yield "gestation_weeks", weeks


def _postpartum(text: str, about_child: bool) -> Iterator[tuple[str, float]]:
    if found := _search(_AFTER_BIRTH, _BIRTH, text):
        count, unit = (part for part in found.groups() if part)
        yield "postpartum_days", _days(count, unit)


def _search(
    pattern: re.Pattern[str], beginnings: tuple[str, ...], text: str
) -> re.Match[str] | None:
    """A search that is spared where no word begins as it must."""
    if any(beginning in text for beginning in beginnings):
        return pattern.search(text)
    return None


def _age(text: str, about_child: bool) -> Iterator[tuple[str, float]]:
    """An amount of time is an age unless it says how long something lasts."""
    if found := _search(_BORN, ("born", "naissance", "naquit"), text):
        yield from _aged(_days(found.group(1), found.group(2)))
    elif _search(_BORN_NOW, ("born",), text):
        yield from _aged(1)
    others = _search(_GESTATION, _PREGNANT, text), _search(_AFTER_BIRTH, _BIRTH, text)
    taken = [other.span() for other in others if other]
    for found in _AMOUNT.finditer(text):
        days = _days(found.group(1), found.group(2))
        if any(first <= found.start() < after for first, after in taken):
            continue
        if _is_age(text, found, days, about_child):
            yield from _aged(days)
        elif days <= 60:
            yield "duration_hours", days * 24


def _is_age(text: str, found: re.Match[str], days: float, about_child: bool) -> bool:
    unit = found.group(2)
    if _HOURS[unit] < 24 or days > 120 * 366:
        return False
    if _OLD.match(text[found.end() :]):
        return True
    before = text[: found.start()].rstrip()
    if _DURING.search(before[-40:]) or _PER.search(before):
        return False
    if _HOURS[unit] >= 8766:
        return True
    if about_child and (_IS_AGED.search(before) or _CHILD_AFTER.match(text[found.end() :])):
        return True
    nearby = " ".join(before.split()[-5:])
    return about_child and bool(_CHILD.search(nearby)) and found.group(1) != "a"


def _aged(days: float) -> Iterator[tuple[str, float]]:
    yield "age_days", days
    yield "age_years", days / 365.25


def _temperature(text: str, about_child: bool) -> Iterator[tuple[str, float]]:
    if not _DIGITS.search(text):
        return
    for pattern in _TEMPERATURE:
        for found in pattern.finditer(text):
            celsius = float(found.group(1))
            if 93 <= celsius <= 110:
                celsius = round((celsius - 32) / 1.8, 1)
            if 30 <= celsius <= 43.5:
                yield "temperature_c", celsius
                return


def _blood_pressure(text: str, about_child: bool) -> Iterator[tuple[str, float]]:
    for found in _PRESSURE.finditer(text) if "/" in text else ():
        upper, lower = float(found.group(1)), float(found.group(2))
        if 5 <= upper < 30 and 2 <= lower < 20 and upper > lower:
            upper, lower = upper * 10, lower * 10
        if 50 <= upper <= 300 and 20 <= lower < upper:
            yield "systolic", upper
            yield "diastolic", lower
            return
    if tension := _search(_TENSION, ("ta ", "tension", "pression", "bp", "pressure"), text):
        upper = float(tension.group(1))
        upper = upper * 10 if upper < 30 else upper
        if 50 <= upper <= 300:
            yield "systolic", upper


def _counts(text: str, about_child: bool) -> Iterator[tuple[str, float]]:
    for name, beginnings, pattern, (low, high) in _NUMBERS:
        found = _search(pattern, beginnings, text)
        if found and low <= (value := number(found.group(1))) <= high:
            yield name, value


def _glucose(text: str, about_child: bool) -> Iterator[tuple[str, float]]:
    if found := _search(_SUGAR, ("gly", "gluc", "suc", "sugar", "dextro"), text):
        value, unit = float(found.group(1)), found.group(2)
        if unit == "mmol":
            value *= 18
        elif unit == "g" or (unit is None and value < 10):
            value *= 100
        yield "glucose_mg_dl", value


_READERS: tuple[Callable[[str, bool], Iterator[tuple[str, float]]], ...] = (
    _gestation, _postpartum, _age, _temperature, _blood_pressure, _counts, _glucose,
)  # fmt: skip
