"""Who takes part in a test."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

SignUp = Callable[..., Coroutine[Any, Any, dict[str, str]]]
"""The `sign_up` fixture: consents in, the headers of a new guest out."""
