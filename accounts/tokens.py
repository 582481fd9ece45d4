"""Access tokens: issue ours, verify ours and Supabase's. One key ring, in which the key decides.

A token is verified by the keys filed under its issuer, key id and algorithm, each with its own single
algorithm; nothing in a token can widen that. Secrets rotate through `JWT_PREVIOUS_SECRETS`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from carehelp.errors import NotSignedIn

ISSUER = "carehelp"
SYMMETRIC = ("HS256", "HS384", "HS512")
ASYMMETRIC = ("ES256", "RS256")
MAX_CHARACTERS = 8192
LEEWAY_SECONDS = 10
REQUIRED = ["exp", "iat", "sub", "iss"]
# Supabase's shared secret signs tokens that name no key, or one that only its dashboard shows.
ANY_KID = "*"


class BadToken(NotSignedIn):
    """A token that is expired, forged or not for us."""

    def __init__(self, detail: str = "Your sign-in has expired or is not valid.") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class UnknownSigner(BadToken):
    """No key of ours is filed under what the token names."""

    def __init__(self, issuer: str) -> None:
        super().__init__()
        self.issuer = issuer


@dataclass(frozen=True, slots=True)
class Key:
    """A verification key, good for one algorithm."""

    issuer: str
    kid: str
    algorithm: str
    secret: Any
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says; `issued_at` and `expires_at` are seconds since 1970."""

    user_id: UUID
    issuer: str
    issued_at: float
    expires_at: float
    email: str | None = None


class KeyRing:
    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = list(keys)

    def replace(self, issuer: str, algorithms: tuple[str, ...], keys: Iterable[Key]) -> None:
        """Swap what a key server published; an issuer's other keys stay."""
        kept = [k for k in self.keys if k.issuer != issuer or k.algorithm not in algorithms]
        self.keys = [*kept, *keys]

    def verify(self, token: str) -> Claims:
        """Raises `UnknownSigner` where no key fits, `BadToken` for all else that is wrong."""
        try:
            return self._verify(token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise BadToken from error

    def _verify(self, token: str) -> Claims:
        if not isinstance(token, str) or len(token) > MAX_CHARACTERS:
            raise jwt.InvalidTokenError
        header = jwt.get_unverified_header(token)
        if "crit" in header:
            raise jwt.InvalidTokenError
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        refusal: Exception = UnknownSigner(str(issuer))
        for key in self._candidates(issuer, header.get("kid"), header.get("alg")):
            try:
                return _claims(_decoded(token, key))
            except jwt.InvalidSignatureError as error:
                refusal = error
        raise refusal

    def _candidates(self, issuer: Any, kid: Any, algorithm: Any) -> list[Key]:
        return [
            key
            for key in self.keys
            if (key.issuer, key.algorithm) == (issuer, algorithm) and key.kid in (kid, ANY_KID)
        ]


def _decoded(token: str, key: Key) -> dict[str, Any]:
    return jwt.decode(
        token,
        key.secret,
        algorithms=[key.algorithm],
        issuer=key.issuer,
        audience=key.audience,
        leeway=LEEWAY_SECONDS,
        options={"require": REQUIRED, "verify_aud": key.audience is not None},
    )


def _claims(payload: dict[str, Any]) -> Claims:
    email = payload.get("email")
    return Claims(
        user_id=UUID(payload["sub"]),
        issuer=payload["iss"],
        issued_at=float(payload["iat"]),
        expires_at=float(payload["exp"]),
        email=email if isinstance(email, str) else None,
    )


def issue(user_id: UUID, *, revoked_before: datetime | None = None) -> str:
    """A signed access token. It is never older than the user's last sign-out everywhere, whatever
    this machine's clock says.
    """
    issued_at = time.time()
    if revoked_before is not None:
        issued_at = max(issued_at, revoked_before.timestamp())
    payload = {
        "iss": ISSUER,
        "sub": str(user_id),
        "iat": issued_at,
        "exp": int(issued_at) + lifetime_seconds(),
    }
    key = _ours(settings.JWT_SECRET, settings.JWT_ALGORITHM)
    return jwt.encode(payload, key.secret, algorithm=key.algorithm, headers={"kid": key.kid})


def lifetime_seconds() -> int:
    return int(settings.ACCESS_TOKEN_EXPIRE_MINUTES * 60)


def ring() -> KeyRing:
    """The keys that this deployment trusts."""
    return _ring(
        (settings.JWT_SECRET, *settings.JWT_PREVIOUS_SECRETS),
        settings.JWT_ALGORITHM,
        settings.SUPABASE_URL,
        settings.SUPABASE_JWT_SECRET,
    )


@cache
def _ring(
    secrets: tuple[str, ...], algorithm: str, supabase_url: str, supabase_secret: str
) -> KeyRing:
    keys = [_ours(secret, algorithm) for secret in secrets]
    if supabase_url and supabase_secret:
        issuer = supabase_issuer(supabase_url)
        keys.append(Key(issuer, ANY_KID, "HS256", supabase_secret.encode(), "authenticated"))
    return KeyRing(keys)


def _ours(secret: str, algorithm: str) -> Key:
    if algorithm not in SYMMETRIC:
        raise ImproperlyConfigured(f"JWT_ALGORITHM must be one of {', '.join(SYMMETRIC)}.")
    kid = hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:12]
    return Key(ISSUER, kid, algorithm, secret.encode())


def supabase_issuer(url: str) -> str:
    return f"{url.rstrip('/')}/auth/v1"


def published_keys(document: Any, issuer: str) -> list[Key]:
    """The keys of a JWKS document (RFC 7517). A symmetric one is never taken: it would be public."""
    entries = document.get("keys", []) if isinstance(document, dict) else []
    return [key for entry in entries[:16] if (key := _published(entry, issuer))]


def _published(entry: Any, issuer: str) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ("EC", "RSA"):
        return None
    if entry.get("alg") not in ASYMMETRIC or not isinstance(entry.get("kid"), str):
        return None
    try:
        secret = jwt.PyJWK(entry).key
    except (jwt.PyJWTError, ValueError):
        return None
    return Key(issuer, entry["kid"], entry["alg"], secret, "authenticated")
