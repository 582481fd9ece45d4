"""The page at `/`, in Chromium, on a phone of 360 pixels: a person asks, the network comes and goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from carehelp.asgi import application
from carehelp.tests.browser import ARGUMENTS, WATCH, Network, Watched, chromium, slow_model
from carehelp.tests.serving import served

PHONE = {"width": 360, "height": 740}
NEWBORN = "mon bébé de 3 semaines a de la fièvre et ne tète plus"
MALARIA = "Quels sont les signes du paludisme ?"
# Characters outside of the basic plane: one code point, two of JavaScript's units.
WORDS = [f"mot{number} 🩺œ " for number in range(40)]
"""Letters of several bytes, and words of no language: « é » alone would be taken for Pidgin."""
SAID = "".join(WORDS).strip()
FULL_TEXT = "[...document.querySelectorAll('.reply .text')].map(n => n.textContent.trim()).join('')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = chromium()
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        # Playwright's own loop runs in this thread, which Django would take for async code of ours.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site(migrated: None) -> Iterator[str]:
    with served(application) as url:
        yield url


@pytest.fixture
def page(browser: Any, site: str, database: None) -> Iterator[Any]:
    context = browser.new_context(viewport=PHONE, has_touch=True, locale="fr-FR", base_url=site)
    context.set_default_timeout(15000)
    context.add_init_script(WATCH)
    yield context.new_page()
    context.close()


@pytest.fixture
def slow(settings: Any) -> Iterator[Any]:
    with slow_model(WORDS, 0.1) as server:
        settings.LMSTUDIO_BASE_URL = f"{server.url}/v1"
        settings.LMSTUDIO_MODEL = "qwen2.5-7b-instruct"
        settings.AI_CHAT = "lmstudio"
        yield server


def ask(page: Any, message: str) -> None:
    page.fill("#message", message)
    page.click("#send")


def enter(page: Any, *consents: str) -> None:
    page.wait_for_selector("#entry:not([hidden])")
    for purpose in consents:
        page.check(f"#entry [name={purpose}]")
    page.click("#entry-go")


def begin(page: Any, message: str, url: str = "/") -> Watched:
    watched = Watched(page)
    page.goto(url)
    ask(page, message)
    enter(page, "store_history")
    return watched


def ended(page: Any) -> None:
    page.wait_for_selector(".turn:last-child .note:not([hidden])")


def until(page: Any, expression: str) -> None:
    """Playwright's own waiting for a function needs eval, which the page's policy forbids."""
    for _ in range(500):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(30)
    raise AssertionError(f"it never came true: {expression}")


def partly(page: Any) -> None:
    until(page, f"({FULL_TEXT}).includes('mot5')")


def no_sideways_scroll(page: Any) -> bool:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width <= PHONE["width"]


def test_a_first_question_in_french_gets_a_cited_answer(page: Any, guidance: None) -> None:
    watched = begin(page, MALARIA)
    ended(page)
    assert page.get_attribute("html", "lang") == "fr"
    assert "paludisme" in page.inner_text(".sources").casefold()
    assert page.inner_text(".reply .text").count("[1]") == 1
    assert page.get_attribute(".cite", "href")[1:] == page.get_attribute(".sources li", "id")
    assert no_sideways_scroll(page)
    watched.assert_quiet(network=False)


def test_no_consent_is_ticked_beforehand_and_each_can_change_later(page: Any) -> None:
    page.goto("/")
    ask(page, "Bonjour")
    page.wait_for_selector("#entry:not([hidden])")
    assert page.locator("#consents input:checked").count() == 0
    enter(page)
    ended(page)
    page.click("#menu")
    page.click("#choices-open")
    page.check("#choices-list [name=clinician_review]")
    until(page, "document.getElementById('choices-state').textContent === 'Enregistré.'")
    page.click("#choices-close")
    page.click("#choices-open")
    ticked = page.locator("#choices-list input:checked")
    assert [box.get_attribute("name") for box in ticked.all()] == ["clinician_review"]


def test_an_emergency_is_answered_before_signing_in(page: Any) -> None:
    watched = Watched(page)
    page.goto("/")
    ask(page, NEWBORN)
    page.wait_for_selector(".level.emergency")
    assert "Urgence" in page.inner_text(".level.emergency .title")
    assert page.locator(".level.emergency .title svg").count() == 1
    assert "hôpital" in page.inner_text(".level.emergency .advice")
    assert "hôpital" in page.text_content("#alarm")
    assert page.evaluate("localStorage.getItem('carehelp.session')") is None
    called = page.get_attribute(".call", "href")
    assert re.fullmatch(r"tel:[\d+*#]+", called)
    assert "non vérifié" in page.inner_text(".contacts")
    assert no_sideways_scroll(page)
    watched.assert_quiet(network=False)


def test_stop_keeps_what_was_said(page: Any, slow: Any) -> None:
    begin(page, "Bonjour, racontez")
    partly(page)
    page.click("#stop")
    page.wait_for_selector(".ending:not([hidden])")
    kept = page.evaluate(FULL_TEXT)
    assert SAID.startswith(kept)
    assert "mot5" in kept
    assert len(kept) < len(SAID)
    page.reload()
    page.wait_for_selector(".ending:not([hidden])")
    assert page.evaluate(FULL_TEXT) == kept


def test_a_lost_network_loses_and_repeats_no_character(page: Any, site: str, slow: Any) -> None:
    network = Network(int(site.rpartition(":")[2]))
    watched = begin(page, "Bonjour, racontez", network.url)
    partly(page)
    network.cut()
    page.wait_for_selector(".state.resuming:not([hidden])")
    network.up = True
    ended(page)
    assert SAID in page.evaluate(FULL_TEXT)
    assert page.evaluate(FULL_TEXT).count("mot7 ") == 1
    assert len(slow.requests) == 1
    watched.assert_quiet(network=True)


def test_a_reload_in_the_middle_follows_the_running_answer(page: Any, slow: Any) -> None:
    begin(page, "Bonjour, racontez")
    partly(page)
    page.reload()
    ended(page)
    assert SAID in page.evaluate(FULL_TEXT)
    assert page.locator(".turn").count() == 1
    assert len(slow.requests) == 1


def test_a_message_written_without_network_is_sent_once(page: Any, guidance: None) -> None:
    begin(page, "Bonjour")
    ended(page)
    page.context.set_offline(True)
    ask(page, MALARIA)
    page.wait_for_selector(".state.offline:not([hidden])")
    assert "hôpital" in page.inner_text(".state.offline")
    assert MALARIA in page.evaluate("localStorage.getItem('carehelp.outbox')")
    page.context.set_offline(False)
    ended(page)
    assert page.evaluate("localStorage.getItem('carehelp.outbox')") == "[]"
    page.reload()
    page.wait_for_selector(".turn + .turn")
    assert page.locator(".turn").count() == 2


def test_english_is_chosen_and_remembered(page: Any) -> None:
    watched = Watched(page)
    page.goto("/")
    assert page.inner_text("#welcome h1") == "Que se passe-t-il ?"
    page.select_option("#language", "en")
    until(page, "document.documentElement.lang === 'en'")
    until(page, "document.getElementById('send').textContent === 'Send'")
    page.reload()
    assert page.inner_text("#welcome h1") == "What is happening?"
    assert no_sideways_scroll(page)
    watched.assert_quiet(network=False)


def test_leaving_quickly_empties_the_screen(page: Any) -> None:
    page.goto("/")
    ask(page, "mon secret")
    page.click("#quit")
    page.wait_for_url("about:blank")
    assert "secret" not in page.content()


def test_the_page_is_small_enough_for_a_slow_network() -> None:
    from conversations.doors.page import shell

    made = shell()
    first = [f for name, f in made.files.items() if name not in ("words.en.js", "words.pcm.js")]
    assert sum(len(file.zipped) for file in [*first, made.pages["fr"]]) <= 30_000
