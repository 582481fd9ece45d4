"""The chat page at `/` and its files: a shell that knows nobody; everything else it asks the API.

Its files stand under `/chat/<version>/`, where the version is a digest of all of them: a phone loads
each once, and a file is never of another version than the page that asks for it. They are
compressed here, since a slow network pays for every byte.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from carehelp.errors import NotFound
from conversations.wording import LANGUAGES

FOLDER = Path(__file__).resolve().parent.parent / "static" / "chat"
TEMPLATE = "chat.html"
LANGUAGE_COOKIE = "carehelp_language"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class File:
    """What is sent for a name, plain and compressed."""

    body: bytes
    zipped: bytes
    content_type: str

    @classmethod
    def of(cls, body: bytes, content_type: str) -> File:
        return cls(body, gzip.compress(body, 9, mtime=0), f"{content_type}; charset=utf-8")

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:20]}"'


@dataclass(frozen=True, slots=True)
class Shell:
    """The page in every language, and the files that it loads."""

    version: str
    pages: dict[str, File]
    files: dict[str, File]


async def page(request: HttpRequest) -> HttpResponse:
    """In French, or in the language that was chosen on this device."""
    chosen = request.COOKIES.get(LANGUAGE_COOKIE, "")
    shown = shell().pages[chosen if chosen in LANGUAGES else "fr"]
    response = _answer(request, shown, "private, no-cache")
    patch_vary_headers(response, ("Cookie",))
    return response


async def asset(request: HttpRequest, version: str, name: str) -> HttpResponse:
    """One of the page's files; of an older version only for as long as a page is being replaced."""
    current = shell()
    found = current.files.get(name)
    if found is None:
        raise NotFound
    return _answer(request, found, FOREVER if version == current.version else "no-cache")


def _answer(request: HttpRequest, file: File, cached: str) -> HttpResponse:
    headers = {"Cache-Control": cached, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("If-None-Match", ""):
        return HttpResponse(status=304, headers=headers)
    body = file.body
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = file.zipped
        headers["Content-Encoding"] = "gzip"
    return HttpResponse(body, content_type=file.content_type, headers=headers)


def shell() -> Shell:
    """Made once; while developing at every request, so that a change is seen."""
    return _made() if settings.DEBUG else _kept()


@cache
def _kept() -> Shell:
    return _made()


def _made() -> Shell:
    words = json.loads((FOLDER / "words.json").read_text(encoding="utf-8"))
    files = {
        path.name: File.of(path.read_bytes(), TYPES[path.suffix])
        for path in sorted(FOLDER.iterdir())
        if path.suffix in TYPES
    }
    for language in LANGUAGES:
        files[f"words.{language}.js"] = _words_module(words, language)
    version = hashlib.sha256(b"".join(file.body for file in files.values())).hexdigest()[:12]
    pages = {language: _page(words, language, version, files) for language in LANGUAGES}
    return Shell(version, pages, files)


def _words_module(words: dict[str, dict[str, str]], language: str) -> File:
    said = {key: texts[language] for key, texts in words.items()}
    body = f"export default {json.dumps(said, ensure_ascii=False, separators=(',', ':'))};\n"
    return File.of(body.encode(), TYPES[".js"])


def _page(
    words: dict[str, dict[str, str]], language: str, version: str, files: dict[str, File]
) -> File:
    spoken = f"words.{language}.js"
    scripts = [name for name in files if name.endswith(".js") and not name.startswith("words.")]
    context = {
        "base": f"/chat/{version}",
        "language": language,
        "modules": [*scripts, spoken],
        "w": {key: texts[language] for key, texts in words.items()},
        "longest": settings.MESSAGE_MAX_CHARACTERS,
    }
    return File.of(render_to_string(TEMPLATE, context).encode(), "text/html")
