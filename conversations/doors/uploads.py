"""A file in a request: as multipart, as base64 in JSON, or as the body itself.

Read in threads: megabytes of base64 would hold the event loop for everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.utils.translation import gettext as _
from rest_framework.request import Request

from ai.media import from_base64
from carehelp.errors import Invalid, Malformed, TooLarge


@dataclass(frozen=True, slots=True)
class Upload:
    """`data` is None where JSON came without a file; `fields` is what came beside it."""

    data: bytes | None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> bytes:
        if self.data is None:
            raise missing("file")
        return self.data


def missing(name: str) -> Invalid:
    error = {"loc": ["body", name], "msg": _("This field is required."), "type": "required"}
    return Invalid(errors=[error])


async def read(request: Request, *names: str, limit: int) -> Upload:
    """`names` are the JSON members that may hold the file, as base64 or a data URL.

    Raises `Malformed` for what is not JSON or not base64, `TooLarge` for more than `limit` bytes.
    """
    return await asyncio.to_thread(_read, request, names, limit)


def _read(request: Request, names: tuple[str, ...], limit: int) -> Upload:
    content_type = request.content_type.partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        upload = _from_form(request)
    elif content_type == "application/json":
        upload = _from_json(json_of(request), names, limit)
    else:
        upload = Upload(request._request.read(limit + 1), request.query_params.dict())
    if upload.data is not None and len(upload.data) > limit:
        raise TooLarge("At most {limit} bytes.", limit=limit)
    return upload


def json_of(request: Request) -> Any:
    """The body, however large its door allows: Django would refuse what is over its own limit."""
    try:
        return orjson.loads(request._request.read())
    except orjson.JSONDecodeError:
        raise Malformed("This is not JSON.") from None


def _from_form(request: Request) -> Upload:
    request._request.upload_handlers = [InMemory(request._request)]
    fields = request.data.dict()
    file = fields.pop("file", None)
    return Upload(file.read() if isinstance(file, UploadedFile) else None, fields)


def _from_json(body: Any, names: tuple[str, ...], limit: int) -> Upload:
    if not isinstance(body, dict):
        raise Invalid(errors=[{"loc": ["body"], "msg": _("Send an object."), "type": "invalid"}])
    name = next((name for name in names if body.get(name) is not None), None)
    if name is None:
        return Upload(None, body)
    if not isinstance(body[name], str):
        msg = _("Send base64, or a data URL.")
        raise Invalid(errors=[{"loc": ["body", name], "msg": msg, "type": "invalid"}])
    fields = {key: value for key, value in body.items() if key not in names}
    return Upload(from_base64(body[name], limit=limit), fields)


class InMemory(MemoryFileUploadHandler):
    """A patient's voice goes into no file; the outermost limit keeps it small."""

    def handle_raw_input(self, *args: Any, **options: Any) -> None:
        self.activated = True
