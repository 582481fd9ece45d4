import base64
import contextlib
import hashlib
import hmac
import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from accounts import tokens
from accounts.tokens import BadToken, Key, KeyRing, UnknownSigner, published_keys

USER = uuid.uuid4()
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
SUPABASE = "https://p.supabase.example/auth/v1"
ONE, TWO, SHARED = b"1" * 40, b"2" * 40, b"s" * 40
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def published(private, kid, algorithm, kind):
    return {**json.loads(kind.to_jwk(private.public_key())), "kid": kid, "alg": algorithm}


JWKS = {
    "keys": [
        published(ELLIPTIC, "e1", "ES256", ECAlgorithm),
        published(RSA, "r1", "RS256", RSAAlgorithm),
        {"kty": "oct", "kid": "evil", "alg": "HS256", "k": "AAAA"},
        {"kty": "EC", "kid": "broken", "alg": "ES256"},
        "nonsense",
    ]
}


@pytest.fixture
def ring():
    ours = [Key("carehelp", "k1", "HS256", ONE), Key("carehelp", "k2", "HS256", TWO)]
    shared = Key(SUPABASE, tokens.ANY_KID, "HS256", SHARED, "authenticated")
    return KeyRing([*ours, shared, *published_keys(JWKS, SUPABASE)])


def made(key, algorithm, kid, **claims):
    now = int(time.time())
    body = {"sub": str(USER), "iat": now, "exp": now + 60, "iss": "carehelp", **claims}
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def theirs(key, algorithm, kid, **claims):
    return made(key, algorithm, kid, **{"iss": SUPABASE, "aud": "authenticated", **claims})


def forged(header, key, **claims):
    """Signed by hand, since PyJWT refuses to make some of these."""
    now = int(time.time())
    body = {"sub": str(USER), "iat": now, "exp": now + 60, "iss": SUPABASE, "aud": "authenticated"}
    parts = [json.dumps(part).encode() for part in (header, body | claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = base64.urlsafe_b64encode(hmac.digest(key, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + mac).decode()


def test_every_trusted_key_verifies(ring):
    for token in (
        made(ONE, "HS256", "k1"),
        made(TWO, "HS256", "k2"),
        theirs(SHARED, "HS256", None),
        theirs(SHARED, "HS256", "shown-on-the-dashboard"),
        theirs(ELLIPTIC, "ES256", "e1"),
        theirs(RSA, "RS256", "r1"),
    ):
        assert ring.verify(token).user_id == USER


PUBLIC_PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
NOW = int(time.time())
FORGERIES = {
    "the public key as a shared secret": forged({"alg": "HS256", "kid": "r1"}, PUBLIC_PEM),
    "no signature": jwt.encode(
        {"sub": str(USER), "iss": "carehelp", "iat": NOW, "exp": NOW + 60}, None, "none"
    ),
    "none in capitals": forged({"alg": "NONE", "kid": "k1"}, b"", iss="carehelp"),
    "our key in Supabase's name": theirs(ONE, "HS256", "k1"),
    "Supabase's key in our name": made(SHARED, "HS256", None),
    "Supabase's key under our key's name": made(SHARED, "HS256", "k1"),
    "one key under the other's name": made(TWO, "HS256", "k1"),
    "a stronger algorithm than the key's": made(ONE, "HS512", "k1"),
    "no key named": made(ONE, "HS256", None),
    "a path as key name": made(ONE, "HS256", "../../dev/null"),
    "a wildcard as key name": made(ONE, "HS256", "*"),
    "no exp": made(ONE, "HS256", "k1", exp=None),
    "no iat": made(ONE, "HS256", "k1", iat=None),
    "no sub": made(ONE, "HS256", "k1", sub=None),
    "no iss": made(ONE, "HS256", "k1", iss=None),
    "expired": made(ONE, "HS256", "k1", exp=NOW - 60),
    "issued tomorrow": made(ONE, "HS256", "k1", iat=NOW + 86400, exp=NOW + 2 * 86400),
    "not valid yet": made(ONE, "HS256", "k1", nbf=NOW + 600),
    "a sub that is no id": made(ONE, "HS256", "k1", sub="admin"),
    "another audience": theirs(ELLIPTIC, "ES256", "e1", aud="anon"),
    "no audience": theirs(ELLIPTIC, "ES256", "e1", aud=None),
    "a symmetric key from the key server": theirs(b"\0\0\0", "HS256", "evil"),
    "a foreign key that brings itself": forged(
        {"alg": "HS256", "kid": "x", "jwk": {"kty": "oct", "k": "AAAA"}}, b"\0\0\0"
    ),
    "a critical extension": forged(
        {"alg": "HS256", "kid": "k1", "crit": ["x"], "x": 1}, ONE, iss="carehelp"
    ),
    "a list as issuer": forged({"alg": "HS256", "kid": "k1"}, ONE, iss=["carehelp"]),
    "an endless token": "a" * 9000,
    "not a token": "a.b.c",
    "nothing": "",
    "deep nesting": base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.e30",
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forgery_is_refused(ring, token):
    with pytest.raises(BadToken):
        ring.verify(token)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_any_text_is_refused_quietly(text):
    with pytest.raises(BadToken):
        KeyRing([Key("carehelp", "k1", "HS256", ONE)]).verify(text)


@given(st.integers(0, 10_000), st.integers(1, 127))
def test_a_changed_character_is_noticed(position, change):
    token = made(ONE, "HS256", "k1")
    at = position % (len(token) - 1)
    other = chr((ord(token[at]) + change) % 128)
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        with pytest.raises(BadToken):
            KeyRing([Key("carehelp", "k1", "HS256", ONE)]).verify(changed)


@given(
    st.dictionaries(
        st.sampled_from(["sub", "iss", "iat", "exp", "nbf", "aud", "email"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    )
)
def test_claims_of_any_type_are_verified_or_refused(claims):
    """Signed with our own key: even then nothing but an answer or a `BadToken` comes out."""
    token = forged({"alg": "HS256", "kid": "k1"}, ONE, **{"iss": "carehelp", **claims})
    with contextlib.suppress(BadToken):
        KeyRing([Key("carehelp", "k1", "HS256", ONE)]).verify(token)


def test_a_signer_that_is_not_known_is_told_apart(ring):
    with pytest.raises(UnknownSigner) as refused:
        ring.verify(theirs(ELLIPTIC, "ES256", "e2"))
    assert refused.value.issuer == SUPABASE


def test_our_secret_rotates(settings):
    settings.JWT_SECRET, settings.JWT_PREVIOUS_SECRETS = "a" * 40, []
    token = tokens.issue(USER)
    assert tokens.ring().verify(token).user_id == USER
    settings.JWT_SECRET, settings.JWT_PREVIOUS_SECRETS = "b" * 40, ["a" * 40]
    assert tokens.ring().verify(token).user_id == USER
    settings.JWT_PREVIOUS_SECRETS = []
    with pytest.raises(BadToken):
        tokens.ring().verify(token)


def test_a_new_token_is_never_older_than_the_last_sign_out():
    """Even where the database's clock runs ahead of ours."""
    revoked = datetime.now(UTC) + timedelta(seconds=3)
    claims = tokens.ring().verify(tokens.issue(USER, revoked_before=revoked))
    assert claims.issued_at >= revoked.timestamp()


@pytest.mark.parametrize("algorithm", ["none", "RS256", "ES256", "HS1"])
def test_our_algorithm_must_be_one_for_shared_secrets(settings, algorithm):
    settings.JWT_ALGORITHM = algorithm
    with pytest.raises(Exception, match="JWT_ALGORITHM"):
        tokens.issue(USER)
