"""`/api/users/…`: accounts over REST. Translates; `accounts.services` decides."""

from __future__ import annotations

from typing import Any

from adrf.views import APIView
from django.http import StreamingHttpResponse
from rest_framework import serializers
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import consents, services, tickets, usage
from accounts.authentication import Identity
from accounts.export import exported
from accounts.limits import client_address
from accounts.serializers import (
    ConsentSerializer,
    GuestSerializer,
    LoginSerializer,
    ProfileSerializer,
    RefreshSerializer,
    RegisterSerializer,
    consent_json,
    signed_in_json,
    user_json,
)
from carehelp.database.identity import run_as


class RegisterView(APIView):
    permission_classes = [AllowAny]

    async def post(self, request: Request) -> Response:
        profile = checked(RegisterSerializer, request)
        session = await services.register(
            email=profile.pop("email"),
            password=profile.pop("password"),
            agreed=profile.pop("consents"),
            profile=profile,
            address=client_address(request),
            guest=_caller_if_any(request),
        )
        if session is None:
            return Response({"status": "confirm_email"}, status=202)
        return Response(signed_in_json(session), status=201)


class GuestView(APIView):
    permission_classes = [AllowAny]

    async def post(self, request: Request) -> Response:
        profile = checked(GuestSerializer, request)
        agreed = profile.pop("consents")
        session = await services.guest(profile, agreed, client_address(request))
        return Response(signed_in_json(session), status=201)


class LoginView(APIView):
    permission_classes = [AllowAny]
    parser_classes = [JSONParser, FormParser]

    async def post(self, request: Request) -> Response:
        data = checked(LoginSerializer, request)
        session = await services.sign_in(**data, address=client_address(request))
        return Response(signed_in_json(session))


class RefreshView(APIView):
    permission_classes = [AllowAny]

    async def post(self, request: Request) -> Response:
        session = await services.refresh(checked(RefreshSerializer, request)["refresh_token"])
        return Response(signed_in_json(session))


class LogoutView(APIView):
    permission_classes = [AllowAny]

    async def post(self, request: Request) -> Response:
        await services.sign_out(checked(RefreshSerializer, request)["refresh_token"])
        return Response(status=204)


class LogoutAllView(APIView):
    async def post(self, request: Request) -> Response:
        await services.sign_out_everywhere(_caller(request).user_id)
        return Response(status=204)


class MeView(APIView):
    async def get(self, request: Request) -> Response:
        await usage.settle(_caller(request).user_id)
        return Response(user_json(*await services.change(_caller(request).user_id, {})))

    async def patch(self, request: Request) -> Response:
        profile = checked(ProfileSerializer, request)
        return Response(user_json(*await services.change(_caller(request).user_id, profile)))

    async def delete(self, request: Request) -> Response:
        await services.erase(_caller(request))
        return Response(status=204)


class ExportView(APIView):
    """GET: everything held about the caller, streamed."""

    async def get(self, request: Request) -> StreamingHttpResponse:
        return StreamingHttpResponse(
            exported(_caller(request).user_id),
            content_type="application/json",
            headers={"Content-Disposition": 'attachment; filename="carehelp.json"'},
        )


class ConsentsView(APIView):
    async def get(self, request: Request) -> Response:
        answers = await run_as(consents.history, _caller(request).user_id)
        return Response({"results": [consent_json(answer) for answer in answers]})

    async def post(self, request: Request) -> Response:
        data = checked(ConsentSerializer, request)
        answer = await run_as(
            consents.record,
            _caller(request).user_id,
            data["purpose"],
            data["granted"],
            data.get("version", ""),
        )
        return Response(consent_json(answer), status=201)


class TicketView(APIView):
    """POST `/api/ws-ticket`: what opens one WebSocket, so that no token stands in an address."""

    async def post(self, request: Request) -> Response:
        ticket = await tickets.issue(_caller(request).user_id)
        return Response({"ticket": ticket, "expires_in": tickets.LIFETIME_SECONDS})


def checked(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    asked = form(data=request.data)
    asked.is_valid(raise_exception=True)
    data: dict[str, Any] = asked.validated_data
    return data


def _caller(request: Request) -> Identity:
    who: Identity = request.user
    return who


def _caller_if_any(request: Request) -> Identity | None:
    """A guest whose token has run out must refresh it first, or would lose their conversations."""
    refused = getattr(request._request, "identity_refused", None)
    if refused is not None:
        raise refused
    who: Identity | None = request.user
    return who
