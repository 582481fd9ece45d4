"""What clients may rely on, as documents: OpenAPI at `/api/schema`, AsyncAPI at `/api/asyncapi.yaml`.

Written as data beside this file, one set of shapes for both, and laid over what drf-spectacular finds
in the routes. Tests hold the doors to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from carehelp.middleware import CONTENT_SECURITY_POLICY
from conversations.attachments import PIECE_BYTES, SMALLEST_PIECE
from conversations.doors.serializers import ATTACHMENTS_AT_ONCE

HERE = Path(__file__).parent
PROBLEM = {
    "description": "What is wrong, and whether the same again may succeed.",
    "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
    },
}
BEARER = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}


async def asyncapi(request: HttpRequest) -> HttpResponse:
    """The WebSocket's frames and the events that SSE shares with it."""
    return HttpResponse(as_yaml(socket()), content_type="application/yaml; charset=utf-8")


class DocsView(SpectacularSwaggerSplitView):
    """The HTTP document to read and try, from our own static files; it styles itself."""

    permission_classes: list[Any] = []
    policy = CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        response: Response = super().get(request, *args, **options)
        response.headers["Content-Security-Policy"] = self.policy
        return response


@cache
def socket() -> dict[str, Any]:
    document: dict[str, Any] = _loaded("socket")
    document["components"]["schemas"] = shapes()
    return document


def shapes() -> dict[str, Any]:
    return _loaded("shapes")


def described() -> dict[str, dict[str, Any]]:
    """By path and method, what `http.yaml` says."""
    return _loaded("http")


def lay_over(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's hook: what the routes show, with what `http.yaml` says of them."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(shapes())
    components["securitySchemes"] = BEARER
    result["security"] = [{"bearer": []}]
    for path, methods in described().items():
        for method, said in methods.items():
            found = result["paths"].setdefault(path, {}).setdefault(method, {})
            parameters = [*found.get("parameters", ()), *_query(said)]
            found.update(_operation(said), parameters=parameters)
    return result


def _operation(said: Mapping[str, Any]) -> dict[str, Any]:
    status = said.get("status", "200")
    operation = {
        name: said[name] for name in ("summary", "description", "security") if name in said
    }
    operation["responses"] = {status: _answer(said), "default": PROBLEM}
    if body := _body(said):
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _query(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"in": "query", "name": name, "schema": schema}
        for name, schema in said.get("query", {}).items()
    ]


def _answer(said: Mapping[str, Any]) -> dict[str, Any]:
    if "answer" not in said:
        return {"description": said["summary"]}
    return {
        "description": said["summary"],
        "content": {"application/json": {"schema": _shape(said["answer"])}},
    }


def _body(said: Mapping[str, Any]) -> dict[str, Any]:
    """JSON; where a file is taken also as a form and as it is."""
    if "file" not in said:
        return {"application/json": {"schema": _shape(said["body"])}} if "body" in said else {}
    fields = said.get("body", {}).get("properties", {})
    encoded = {name: {"type": "string", "contentEncoding": "base64"} for name in said["file"]}
    file = {"type": "string", "format": "binary", "maxLength": said["file_bytes"]}
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    content |= {kind: {"schema": file} for kind in ("audio/*", "image/*")}
    if encoded:
        json = {"type": "object", "properties": {**encoded, **fields}}
        content["application/json"] = {"schema": json}
    return content


def _shape(said: Any) -> dict[str, Any]:
    shape: dict[str, Any] = said
    return {"$ref": f"#/components/schemas/{said}"} if isinstance(said, str) else shape


def _loaded(name: str) -> Any:
    text = (HERE / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(Template(text).safe_substitute(_limits()))


def _limits() -> dict[str, Any]:
    names = ("AUDIO_MAX_BYTES", "AUDIO_MAX_SECONDS", "IMAGE_MAX_BYTES", "MESSAGE_MAX_CHARACTERS")
    limits = {name: getattr(settings, name) for name in (*names, "VERSION")}
    return limits | {
        "PIECE_BYTES": PIECE_BYTES,
        "SMALLEST_PIECE": SMALLEST_PIECE,
        "ATTACHMENTS_AT_ONCE": ATTACHMENTS_AT_ONCE,
    }


def as_yaml(document: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    return text
