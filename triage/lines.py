"""YAML that remembers on which line everything stood. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Located(dict[str, Any]):
    """A mapping that knows its line, and the line of each of its keys (from 1)."""

    line: int = 0
    lines: dict[str, int]


class BadRule(ValueError):
    """Refused when loading. Says which rule, in which file, on which line, and why."""

    def __init__(self, why: str, *, rule: str = "", file: str = "", line: int = 0) -> None:
        self.why, self.rule, self.file, self.line = why, rule, file, line
        where = ":".join(str(part) for part in (file, line) if part)
        super().__init__(": ".join(part for part in (where, rule and f"rule {rule}", why) if part))


def load(path: Path) -> list[Any]:
    """Every document of a file; a document that is a list counts as its items."""
    return parse(path.read_text(encoding="utf-8"), path.name)


def parse(source: str, file: str = "") -> list[Any]:
    try:
        loader = _Loader(source)
        documents = []
        while loader.check_node():
            documents.append(_built(loader, loader.get_node()))
        return [
            item
            for document in documents
            for item in (document if isinstance(document, list) else [document])
            if item is not None
        ]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise BadRule(f"not YAML: {error.problem}", file=file, line=line) from None
    except yaml.YAMLError as error:
        raise BadRule(f"not YAML: {error}", file=file) from None


def _built(loader: Any, node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        built = Located()
        built.line = node.start_mark.line + 1
        built.lines = {}
        for key, value in node.value:
            name = str(loader.construct_object(key, deep=True))
            built[name] = _built(loader, value)
            built.lines[name] = key.start_mark.line + 1
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_built(loader, item) for item in node.value]
    return loader.construct_object(node, deep=True)
