"""Hugging Face's own client, led to a contract server."""

from contextlib import contextmanager


@contextmanager
def hugging_face(server, settings, monkeypatch):
    """Its hub, router and tasks are at `server`, with a token."""
    from huggingface_hub import constants
    from huggingface_hub.inference import _providers as providers
    from huggingface_hub.utils import _detect_agent

    settings.HF_API_TOKEN, settings.HF_ROUTER_URL = "hf_test", server.url
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", "/nonexistent")
    monkeypatch.setattr(_detect_agent, "_registry", None)
    monkeypatch.setattr(providers.CONVERSATIONAL_AUTO_ROUTER, "base_url", server.url)
    for helper in providers.PROVIDERS["hf-inference"].values():
        monkeypatch.setattr(helper, "base_url", f"{server.url}/hf-inference")
    yield
    forget_what_was_looked_up()


def forget_what_was_looked_up():
    from huggingface_hub.inference._providers import _common, hf_inference
    from huggingface_hub.utils import _detect_agent

    _detect_agent._registry = None
    _common._fetch_inference_provider_mapping.cache_clear()
    hf_inference._check_supported_task.cache_clear()
