"""What asking a ladder comes to: an answer and who gave it, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from ai.base import ProviderError
from carehelp.errors import CarehelpError

Reason = Literal["no_provider", "no_consent", "minor", "provider_down", "quota", "rate_limited"]
T = TypeVar("T")


class NobodyAnswered(CarehelpError):
    """No rung could answer before its first word. `reason` is one of `Reason`."""

    status, code, title = 503, "no_answer", "No model can answer right now"
    retryable = True

    def __init__(self, reason: Reason, *, retry_after: float | None = None) -> None:
        super().__init__(retry_after=retry_after, reason=reason)
        self.reason = reason


class NobodyOffers(NobodyAnswered):
    """Nothing configured does the verb."""

    status, code, title = 501, "not_offered", "Nothing configured here can do this"
    retryable = False


class ConsentNeeded(NobodyAnswered):
    """Only providers abroad could, and they may not be asked for this patient."""

    status, code, title = 403, "consent_needed", "This would leave the country, without consent"
    retryable = False


class CutOff(CarehelpError):
    """The answer stopped after its first word; what was said stays said."""

    status, code, title = 502, "cut_off", "The model stopped in the middle of its answer"
    retryable = True

    def __init__(self, cause: ProviderError) -> None:
        super().__init__(cause.detail, reason=cause.reason)
        self.reason = cause.reason


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """What a verb returned, and who did it. `reason` says why the first rung did not."""

    result: T
    provider: str
    model: str
    fell_back: bool
    reason: str | None
