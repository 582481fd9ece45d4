"""What can go wrong on purpose.

Every error carries its own HTTP status, WebSocket close code and whether a client may simply try
again, so REST, SSE and WebSocket cannot disagree about it. `carehelp.problem` renders them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class CarehelpError(Exception):
    """Base of everything raised on purpose.

    `detail` is one sentence for a person; it never holds a patient's words. `members` are extra
    members of the problem document (RFC 9457), `retry_after` is in seconds.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"
    close_code: ClassVar[int | None] = None
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.members = members


class Malformed(CarehelpError):
    """The bytes are not what they claim to be: not JSON, not UTF-8, a NUL character."""

    status, code, title = 400, "malformed", "The request could not be read"


class NotSignedIn(CarehelpError):
    """No token, or one that is expired, forged or revoked."""

    status, code, title = 401, "not_signed_in", "Sign in first"
    close_code = 4401


class Forbidden(CarehelpError):
    status, code, title = 403, "forbidden", "Not allowed"
    close_code = 4403


class NotFound(CarehelpError):
    """Also what other people's rows look like."""

    status, code, title = 404, "not_found", "Not found"
    close_code = 4404


class MethodNotAllowed(CarehelpError):
    status, code, title = 405, "method_not_allowed", "This address does not take that method"


class Conflict(CarehelpError):
    status, code, title = 409, "conflict", "This does not fit the present state"


class EmailTaken(Conflict):
    code, title = "email_taken", "This e-mail address is already registered"


class TurnInProgress(Conflict):
    code, title = "turn_in_progress", "An answer is still being written in this conversation"
    retryable = True


class Gone(CarehelpError):
    """It was here, and has been erased."""

    status, code, title = 410, "gone", "This has been erased"


class TooLarge(CarehelpError):
    status, code, title = 413, "too_large", "The request is too large"


class UnsupportedMedia(CarehelpError):
    status, code, title = 415, "unsupported_media_type", "This kind of content is not supported"


class Invalid(CarehelpError):
    """Well-formed, with values that cannot be used.

    `errors` is a list of `{"loc": [...], "msg": str, "type": str}`.
    """

    status, code, title = 422, "invalid", "Some values cannot be used"


class TooMany(CarehelpError):
    status, code, title = 429, "too_many_requests", "Too many requests"
    close_code = 4429
    retryable = True


class NotOffered(CarehelpError):
    """A verb that no configured provider does."""

    status, code, title = 501, "not_offered", "Nothing configured here can do this"


class Unavailable(CarehelpError):
    """Ours or a dependency's trouble that should pass."""

    status, code, title = 503, "unavailable", "Not available right now"
    retryable = True


class Overloaded(Unavailable):
    code, title = "overloaded", "Too busy right now"


class Restarting(Unavailable):
    """This process takes no new turns any more; another will."""

    code, title = "restarting", "The server is restarting"
    close_code = 1012
