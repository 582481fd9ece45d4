"""Whole turns with a model behind them: the contract server, through REST, faults and all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import httpx
import pytest

from ai import ladder
from ai.tests.contract_server import ContractServer, serving
from carehelp.database.identity import Principal, acting_as, run_as
from carehelp.tests.people import SignUp
from carehelp.tests.waiting import until
from conversations import prompts, wording
from conversations import turn as turns
from conversations.guard import Guard
from conversations.history import telling
from conversations.live import store
from conversations.live.runner import runner
from conversations.spoken import is_in

QUESTION = "Comment éviter le paludisme ?"
FRENCH = [
    "Dormez ",
    "sous ",
    "une ",
    "moustiquaire ",
    "chaque ",
    "nuit ",
    "et ",
    "videz les eaux. [1]",
]
ENGLISH = [
    "Sleep ",
    "under ",
    "a net ",
    "every ",
    "night ",
    "and ",
    "keep ",
    "the water ",
    "covered.",
]
PIDGIN = [
    "Make you ",
    "sleep ",
    "for inside net ",
    "every night, ",
    "no leave ",
    "water wey di stand.",
]


@pytest.fixture
async def model(settings: Any, monkeypatch: Any) -> AsyncIterator[ContractServer]:
    # Whether passages come in time is search's own test; here they are wanted on any machine.
    monkeypatch.setattr(turns, "WITH_A_MODEL_MS", 20_000)
    async with serving(ContractServer()) as server:
        server.words = FRENCH
        settings.AI_CHAT = settings.AI_TRANSLATE = "lmstudio"
        settings.LMSTUDIO_BASE_URL = f"{server.url}/v1"
        ladder.forget()
        yield server
        await ladder.close()
    ladder.forget()


@pytest.fixture
def abroad(settings: Any, model: ContractServer) -> None:
    """The same model, now in another country."""
    settings.AI_PROVIDERS = {**settings.AI_PROVIDERS, "faraway": "ai.tests.providers.FarAway"}
    settings.AI_CHAT = "faraway"
    settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = "sk-test", f"{model.url}/v1"


@pytest.fixture
def ask(client: httpx.AsyncClient, sign_up: SignUp) -> Any:
    async def ask(message: str = QUESTION, **body: Any) -> dict[str, Any]:
        headers = body.pop("headers", None) or await sign_up("store_history", "ai_provider_abroad")
        answer = await client.post("/api/chat", json={"message": message, **body}, headers=headers)
        assert answer.status_code == 200, answer.text
        turn: dict[str, Any] = answer.json()
        assert turn["disclaimer"] in wording.DISCLAIMER.values()
        return turn

    return ask


def told(server: ContractServer, index: int = -1) -> list[dict[str, str]]:
    asked = [r for r in server.requests if r["path"].endswith("/chat/completions")]
    messages: list[dict[str, str]] = asked[index]["messages"]
    return messages


async def test_a_model_answers_from_what_was_found(
    model: ContractServer, ask: Any, guidance: None
) -> None:
    turn = await ask()
    assert turn["response"] == "".join(FRENCH)
    assert (turn["mode"], turn["provider"], turn["language"]) == ("normal", "lmstudio", "fr")
    system = told(model)[0]["content"]
    assert all(f'<document number="{n}"' in system for n in range(1, len(turn["sources"]) + 1))
    assert f'<document number="{len(turn["sources"]) + 1}"' not in system
    assert "Le paludisme" in system


async def test_where_nothing_was_found_the_answer_says_so_first(
    model: ContractServer, ask: Any
) -> None:
    turn = await ask()
    assert turn["response"] == f"{wording.NOT_FOUND['fr']}\n\n{''.join(FRENCH)[:-4]}"
    assert turn["sources"] == []
    assert prompts._NOTHING["fr"] in told(model)[0]["content"]


async def test_a_greeting_is_not_told_that_nothing_was_found(
    model: ContractServer, ask: Any
) -> None:
    model.words = ["Bonjour ! Comment puis-je vous aider aujourd'hui ?"]
    assert (await ask("Bonjour"))["response"] == "".join(model.words)


async def test_urgent_advice_of_our_rules_comes_before_the_models_words(
    model: ContractServer, ask: Any
) -> None:
    turn = await ask("J'ai mal au ventre et je vomis tout depuis hier, 39 de fièvre")
    assert turn["triage"]["level"] in ("urgent", "emergency")
    assert turn["response"].startswith(turn["triage"]["advice"])


FAULTS = [
    ("cut-before", "provider_down"),
    ("402", "quota"),
    ("429", "rate_limited"),
    ("404", "provider_down"),
    ("malformed-first", "provider_down"),
    ("stall-before", "provider_down"),
    ("wrong-type", "provider_down"),
    ("empty", "provider_down"),
    ("500", "provider_down"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_a_fault_before_the_first_word_ends_in_a_composed_answer(
    model: ContractServer, ask: Any, settings: Any, guidance: None, fault: str, reason: str
) -> None:
    settings.AI_FIRST_WORD_SECONDS_LOCAL = 1.0
    settings.LMSTUDIO_MODEL = f"qwen-fault-{fault}"
    model.served = [settings.LMSTUDIO_MODEL]
    turn = await ask()
    assert (turn["status"], turn["mode"], turn["mode_reason"]) == ("completed", "offline", reason)
    assert "[1]" in turn["response"]
    assert turn["sources"]


@pytest.mark.parametrize(
    "fault", ["cut-after", "malformed", "error-after", "stall-after", "no-end"]
)
async def test_a_fault_after_the_first_word_keeps_what_was_said(
    model: ContractServer, ask: Any, settings: Any, guidance: None, fault: str
) -> None:
    settings.AI_BETWEEN_WORDS_SECONDS = 1.0
    settings.LMSTUDIO_MODEL = f"qwen-fault-{fault}"
    model.served = [settings.LMSTUDIO_MODEL]
    turn = await ask()
    said = "".join(FRENCH if fault == "no-end" else FRENCH[:3])
    assert (turn["status"], turn["mode"], turn["response"]) == ("interrupted", "normal", said)


async def test_another_process_stops_a_model_that_says_nothing(
    model: ContractServer, client: httpx.AsyncClient, sign_up: SignUp, settings: Any,
    guidance: None, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(import_module("conversations.live.runner"), "RENEW_SECONDS", 3600)
    settings.LMSTUDIO_MODEL = "qwen-fault-stall-before"
    model.served = ["qwen-fault-stall-before"]
    headers = await sign_up("store_history")
    asking = asyncio.create_task(
        client.post("/api/chat", json={"message": QUESTION}, headers=headers)
    )
    await until(lambda: model.open)
    (live,) = runner().replies.values()
    with acting_as(Principal.patient(live.user_id)):
        assert await run_as(store.stop, live.id)
    await until(lambda: model.left)
    assert (await asking).json()["status"] == "stopped"


async def test_a_slow_drip_is_cut_off_and_kept(
    model: ContractServer, ask: Any, settings: Any, guidance: None
) -> None:
    settings.AI_TOTAL_SECONDS_LOCAL = 1.0
    settings.LMSTUDIO_MODEL = "qwen-fault-drip"
    model.served, model.words = ["qwen-fault-drip"], FRENCH * 20
    turn = await ask()
    assert turn["status"] == "interrupted"
    assert "".join(model.words).startswith(turn["response"][:20])


async def test_another_provider_takes_over_and_the_answer_says_so(
    model: ContractServer, ask: Any, settings: Any, guidance: None
) -> None:
    settings.AI_CHAT = "ollama,lmstudio"
    settings.OLLAMA_BASE_URL, settings.OLLAMA_MODEL = model.url, "unknown"
    turn = await ask()
    assert (turn["mode"], turn["mode_reason"]) == ("fallback", "provider_down")
    assert turn["response"] == "".join(FRENCH)


@pytest.mark.parametrize("where", ["prompt", "guard", "halfway"])
async def test_a_fault_of_our_own_ends_in_a_composed_answer(
    model: ContractServer, ask: Any, guidance: None, monkeypatch: Any, where: str
) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise RuntimeError("ours")

    place = {
        "prompt": (prompts, "system"),
        "guard": (Guard, "__init__"),
        "halfway": (Guard, "finish"),
    }
    monkeypatch.setattr(*place[where], broken)
    turn = await ask()
    assert (turn["status"], turn["mode"]) == ("completed", "offline")
    assert turn["mode_reason"] == "internal_error"
    assert "D'après nos fiches" in turn["response"]


async def test_what_a_model_may_not_say_is_not_said(
    model: ContractServer, ask: Any, guidance: None
) -> None:
    said = (
        "Dormez sous une moustiquaire, puis ap|pelez le 9|1|1. Prenez 50|0 m|g de |quinine [9]. L"
    )
    model.words = [*said.split("|"), "isez http", "://x.test/a."]
    turn = await ask()
    assert not {"911", "500", "[9]", "http"} & set(turn["response"].replace(".", " ").split())
    assert "(numéro retiré" in turn["response"]
    assert "(dose retirée" in turn["response"]


async def test_an_answer_in_another_language_is_translated(
    model: ContractServer, ask: Any, guidance: None
) -> None:
    english, french = "".join(ENGLISH), "".join(FRENCH)
    model.words = ENGLISH
    model.said = lambda fault: french  # type: ignore[method-assign]
    turn = await ask()
    assert turn["response"] == f"{wording.TRANSLATED['fr']}\n\n{french}"
    assert turn["language"] == "fr"
    assert told(model)[-1]["content"] == english


@pytest.mark.parametrize(
    ("question", "language", "words", "name"),
    [
        (QUESTION, "fr", ENGLISH, "anglais"),
        ("How can I avoid malaria in the rainy season?", "en", FRENCH, "French"),
        ("How I fit take avoid malaria for ma pikin dem?", "pcm", ENGLISH, "English"),
        (QUESTION, "fr", PIDGIN, "pidgin camerounais"),
    ],
)
async def test_an_answer_that_nobody_can_translate_is_given_and_says_so(
    model: ContractServer, ask: Any, guidance: None, question: str, language: str,
    words: list[str], name: str,
) -> None:  # fmt: skip
    model.words = words
    turn = await ask(question)
    said = "".join(words)
    assert turn["triage"]["language"] == language
    note, _, _ = turn["response"].partition(said)
    assert said in turn["response"]
    assert name in note
    assert turn["language"] != language


@pytest.mark.parametrize(
    ("head", "wanted", "right"),
    [
        ("Pour", "fr", True),
        ("Drink", "fr", None),
        ("Drink plenty of clean water every day, and rest under", "fr", None),
        ("Drink plenty of clean water every day, and rest under a mosquito net", "fr", False),
        ("Drink", "en", True),
        ("Drink", "pcm", None),
    ],
)
def test_the_first_words_wait_until_their_language_is_known(
    head: str, wanted: str, right: bool | None
) -> None:
    assert is_in(head, wanted) is right


async def test_an_answer_that_changes_its_language_says_so_at_the_end(
    model: ContractServer, ask: Any, guidance: None
) -> None:
    model.words = [*FRENCH, "\n\n", *ENGLISH * 5]
    turn = await ask()
    assert turn["language"] == "en"
    assert turn["response"].endswith("anglais : nous n'avons pas pu la traduire.)")


async def test_a_cut_off_answer_in_another_language_is_kept(
    model: ContractServer, ask: Any, settings: Any, guidance: None
) -> None:
    settings.LMSTUDIO_MODEL = "qwen-fault-cut-after"
    settings.AI_TRANSLATE = "offline"
    model.served = ["qwen-fault-cut-after"]
    model.words = [
        "You should sleep under a bed net ",
        "every night, because ",
        "mosquitoes ",
        "bite.",
    ]
    turn = await ask()
    assert turn["status"] == "interrupted"
    assert turn["response"].endswith("".join(model.words[:3]))


async def test_a_language_that_nobody_writes_is_answered_in_french_and_says_so(
    model: ContractServer, ask: Any, guidance: None
) -> None:
    turn = await ask(language="ewo")
    assert turn["response"].startswith("Nous ne savons pas encore répondre en ewondo")
    assert turn["response"].endswith("".join(FRENCH))
    assert turn["language"] == "fr"


@pytest.mark.parametrize("chat", ["lmstudio", "offline"])
async def test_a_language_that_nobody_recognises_is_told_so(
    model: ContractServer, ask: Any, settings: Any, chat: str
) -> None:
    settings.AI_CHAT = chat
    turn = await ask("Mi yahi luumo hande fuu")
    assert turn["triage"]["level"] == "unknown"
    assert wording.UNRECOGNISED in turn["response"]
    assert turn["triage"]["advice"] in turn["response"]


async def test_a_message_that_hardly_tells_keeps_the_conversations_language(
    model: ContractServer, ask: Any, sign_up: SignUp
) -> None:
    headers = await sign_up("store_history")
    model.words = ENGLISH
    first = await ask("I have had a headache since yesterday morning", headers=headers)
    again = await ask("fatigue", headers=headers, conversation_id=first["conversation_id"])
    assert (first["language"], again["triage"]["language"]) == ("en", "en")


async def test_the_patients_own_name_does_not_go_abroad(
    client: httpx.AsyncClient, model: ContractServer, abroad: None, ask: Any
) -> None:
    account = {"email": "a@b.cm", "password": "a long enough one", "full_name": "Zoulikha Pagbe"}
    consents = ["store_history", "ai_provider_abroad"]
    made = await client.post("/api/users/register", json=account | {"consents": consents})
    headers = {"Authorization": f"Bearer {made.json()['access_token']}"}
    await ask("zoulikha pagbe demande comment éviter le palu", headers=headers)
    assert told(model)[-1]["content"].startswith("[NAME_1]")
    assert "zoulikha" not in str(model.requests).casefold()


async def test_what_was_hidden_is_in_the_answer_again(
    model: ContractServer, abroad: None, ask: Any
) -> None:
    model.words = ["Bonjour [NA", "ME_1], dormez sous une moustiquaire ", "et appelez-la au [PHO"]
    model.words += ["NE_1] si la fièvre revient."]
    turn = await ask("Je m'appelle Ngono, ma fille est au 677 12 34 56. Comment éviter le palu ?")
    sent = told(model)[-1]["content"]
    assert "Ngono" not in sent
    assert "677" not in sent
    assert "Bonjour Ngono, dormez" in turn["response"]
    assert "appelez-la au 677 12 34 56 si" in turn["response"]


@pytest.mark.parametrize("minor", [False, True])
async def test_nobody_abroad_is_asked_without_leave(
    model: ContractServer, abroad: None, ask: Any, sign_up: SignUp, minor: bool
) -> None:
    headers = await sign_up("store_history", *(["ai_provider_abroad"] if minor else []))
    subject = {"relation": "child", "age_years": 7} if minor else {}
    turn = await ask(headers=headers, subject=subject)
    reason = "minor" if minor else "no_consent"
    assert (turn["mode"], turn["mode_reason"]) == ("offline", reason)
    assert not model.requests


async def test_history_is_sent_and_what_is_left_out_is_summed_up(
    model: ContractServer, ask: Any, sign_up: SignUp, settings: Any, guidance: None
) -> None:
    headers = await sign_up("store_history")
    settings.AI_CONTEXT_TOKENS = 3200
    said = ["Bonjour. Je m'inquiète. J'ai une toux sèche depuis hier.", *[QUESTION] * 3]
    filler = " Il y a beaucoup de moustiques chez nous, près de la rivière." * 20
    turn = await ask(said[0], headers=headers)
    for one in said[1:]:
        model.requests.clear()
        conversation = turn["conversation_id"]
        turn = await ask(one + filler, headers=headers, conversation_id=conversation)
    messages = told(model)
    assert [m["role"] for m in messages] == ["system", "user"] or messages[1]["role"] == "user"
    assert "<earlier>\n- J'ai une toux sèche depuis hier." in messages[0]["content"]
    assert sum(prompts.tokens(m["content"]) for m in messages) < 3200 - settings.AI_ANSWER_TOKENS
    assert messages[-1]["content"].endswith(filler.strip()[-20:])


def test_the_sentence_that_tells_most_is_kept() -> None:
    said = "Bonjour. Ça va ? J'ai de la fièvre et je vomis !"
    assert telling(said) == "J'ai de la fièvre et je vomis !"


@pytest.mark.alone
async def test_no_turn_with_a_model_blocks_the_loop_for_50_ms(
    model: ContractServer, ask: Any, sign_up: SignUp, guidance: None, caplog: Any
) -> None:
    headers = await sign_up("store_history")
    await ask(headers=headers)
    for _ in range(6):
        # A busy machine holds a loop now and then; what blocks by itself does so each time.
        slow = await _slow(lambda: ask(headers=headers), caplog)
        if not slow:
            break
    assert slow == []


async def _slow(work: Any, caplog: Any) -> list[str]:
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.05
    caplog.clear()
    loop.set_debug(True)
    try:
        with caplog.at_level(logging.WARNING, logger="asyncio"):
            await work()
    finally:
        loop.set_debug(False)
    return [r.getMessage() for r in caplog.records if "Executing" in r.getMessage()]
