"""What an answer is written in: JSON, whatever a client would rather have; a view that has events to
tell looks at `Accept` itself. Nobody's danger goes unanswered for the sake of a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class Lenient(DefaultContentNegotiation):
    def select_renderer(
        self, request: Request, renderers: Sequence[Any], format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type
