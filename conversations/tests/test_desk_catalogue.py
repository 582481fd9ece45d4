"""Every sentence of ours is in the French catalogue, wherever it is said."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from gettext import GNUTranslations
from pathlib import Path

import unfold
from django.conf import settings
from django.utils import translation
from django.utils.translation import template

from carehelp import errors

CATALOGUE = settings.LOCALE_PATHS[0] / "fr" / "LC_MESSAGES"
OURS = ("accounts", "ai", "carehelp", "conversations", "rag", "triage")
# What only an operator reads, in a terminal or a log.
OPERATORS = (
    "carehelp/database",
    "carehelp/secrets.py",
    "carehelp/management",
    "ai/providers",
    "ai/management",
)
CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "pgettext", "pgettext_lazy", "ngettext_lazy"}
LITERAL = r"""u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
SAID = re.compile(rf"(?<![a-z])(p|n)?(?:gettext|_)\({LITERAL}(?:,\s*{LITERAL})?")
FILLED_IN = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
UNFOLD = Path(unfold.__file__).parent
EVERY_FORM = "\x04"


def python_files() -> Iterator[Path]:
    for app in OURS:
        for path in (settings.BASE_DIR / app).rglob("*.py"):
            place = path.relative_to(settings.BASE_DIR).as_posix()
            if not {"tests", "migrations"} & set(path.parts) and not place.startswith(OPERATORS):
                yield path


def in_python(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and name_of(node) in CALLS:
            words = [a.value for a in node.args if isinstance(a, ast.Constant)]
            words = [word for word in words if isinstance(word, str)]
            if words:
                context = name_of(node).startswith("pgettext")
                yield EVERY_FORM.join(words[:2]) if context else words[0]


@cache
def error_classes() -> dict[str, ast.ClassDef]:
    """By name, wherever they stand: importing them all would load every model's client."""
    classes = [
        node
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    found = {each.name: each for each in classes if each.name == "CarehelpError"}
    while more := [c for c in classes if c.name not in found and bases(c) & found.keys()]:
        found |= {each.name: each for each in more}
    return found


def bases(node: ast.ClassDef) -> set[str]:
    return {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}


def titles() -> Iterator[str]:
    for each in error_classes().values():
        for statement in each.body:
            if isinstance(statement, ast.Assign):
                yield from titled(statement)


def titled(statement: ast.Assign) -> Iterator[str]:
    """`title = "…"`, and `code, title = "…", "…"`."""
    target, value = statement.targets[0], statement.value
    names = target.elts if isinstance(target, ast.Tuple) else [target]
    values = value.elts if isinstance(value, ast.Tuple) else [value]
    for name, each in zip(names, values, strict=False):
        if getattr(name, "id", "") == "title" and isinstance(each, ast.Constant):
            yield each.value


def in_errors(path: Path) -> Iterator[str]:
    """Sentences raised on purpose: `as_problem` passes them to gettext, and fills in members."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and name_of(node) in error_classes() and node.args:
            given = node.args[0]
            first = given.values[0] if isinstance(given, ast.JoinedStr) else given
            detail = getattr(first, "value", None)
            if isinstance(detail, str) and detail[:1].isupper():
                yield detail
        elif isinstance(node, ast.Dict):
            yield from messages(node)


def messages(node: ast.Dict) -> Iterator[str]:
    """`"msg": "…"` as it is: it should have been passed to gettext."""
    for key, value in zip(node.keys, node.values, strict=True):
        if getattr(key, "value", None) == "msg" and isinstance(value, ast.Constant):
            yield value.value


def in_template(path: Path) -> Iterator[str]:
    for kind, first, second in SAID.findall(template.templatize(path.read_text())):
        msgid = ast.literal_eval(first)
        yield f"{msgid}{EVERY_FORM}{ast.literal_eval(second)}" if kind == "p" else msgid


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def said() -> set[str]:
    words = {errors.CarehelpError.title, *titles()}
    for path in python_files():
        words |= {*in_python(path), *in_errors(path)}
    for path in (settings.BASE_DIR / "templates").rglob("*.html"):
        words |= set(in_template(path))
    return words


def said_by_unfold() -> set[str]:
    words = set()
    for folder in ("admin", "registration", "unfold"):
        for path in (UNFOLD / "templates" / folder).rglob("*.html"):
            words |= set(in_template(path))
    for path in UNFOLD.glob("*.py"):
        words |= set(in_python(path))
    return words


def written() -> dict[str | tuple[str, int], str]:
    """The catalogue's source, as the compiled one should be."""
    source: dict[str | tuple[str, int], str] = {}
    for block in (CATALOGUE / "django.po").read_text().split("\n\n"):
        said: dict[str, str] = {}
        for line in block.splitlines():
            if line.startswith("msg"):
                keyword, line = line.split(" ", 1)
            if line.startswith('"'):
                said[keyword] = said.get(keyword, "") + ast.literal_eval(line)
        msgid = EVERY_FORM.join(said[k] for k in ("msgctxt", "msgid") if k in said)
        forms = {k: v for k, v in said.items() if k.startswith("msgstr[")}
        source |= {(msgid, int(k[7:-1])): v for k, v in forms.items()}
        source |= {} if forms else {msgid: said["msgstr"]}
    return source


def untranslated(words: set[str]) -> list[str]:
    """What neither we nor Django nor another package has in French."""
    known = translation.trans_real.translation("fr")._catalog
    return [w for w in words if not (known.get(w) or known.get((w, 0)))]


def test_every_sentence_of_ours_has_its_french():
    words = said()
    assert len(words) > 200
    assert untranslated(words) == []


def test_every_sentence_of_the_theme_has_its_french():
    words = said_by_unfold()
    assert len(words) > 50
    assert untranslated(words) == []


def test_the_compiled_catalogue_is_the_written_one():
    with (CATALOGUE / "django.mo").open("rb") as file:
        compiled = GNUTranslations(file)._catalog
    source = written()
    assert len(source) > 200
    assert compiled == source


def test_no_french_loses_what_is_filled_in():
    for msgid, text in written().items():
        said = msgid if isinstance(msgid, str) else msgid[0]
        assert set(FILLED_IN.findall(text)) == set(FILLED_IN.findall(said)), msgid
