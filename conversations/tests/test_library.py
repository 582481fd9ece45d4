"""Documents at the desk: uploaded, looked at, signed, published, withdrawn; and a question tried."""

import asyncio

import pytest
from django.conf import settings as site
from django.core.management import call_command

from accounts.models import AccessLog
from conversations.tests.desk import browser, clinician, in_database, sign_in
from conversations.tests.test_desk import A, post, stored
from rag import catching_up, uploads, vectors
from rag.models import Chunk, Document, Status
from rag.search import search
from rag.tests.pdfs import ENCRYPTED, bomb, pdf, scanned

LIBRARY = "/admin/rag/document/"
UPLOAD = f"{LIBRARY}upload/"
TEXT = "# Le noma\n\nLe noma ronge la bouche des enfants.\n\n## Quand consulter\n\nTout de suite.\n"
NEXT = TEXT.replace("Tout de suite.", "Tout de suite, à l'hôpital.")


@pytest.fixture
async def ngo(database):
    """The browser of a clinician who has signed in."""
    await in_database(clinician, A)
    vectors.forget()
    async with browser() as client:
        await sign_in(client, A)
        yield client
    vectors.forget()


@pytest.fixture(scope="module", autouse=True)
def children_end():
    yield
    uploads.children.stop()


async def upload(client, data, name="noma.md", **said):
    token = client.cookies.get("csrftoken", "")
    data = data.encode() if isinstance(data, str) else data
    file = {"file": (name, data, "application/octet-stream")}
    return await client.post(UPLOAD, data=said, files=file, headers={"X-CSRFToken": token})


async def uploaded(client, data=TEXT, name="noma.md", **said):
    """The number of the draft that it became."""
    answer = await upload(client, data, name, **said)
    assert answer.status_code == 302, answer.text
    return int(answer.headers["Location"].rstrip("/").rpartition("/")[2])


async def step(client, pk, name):
    return await post(client, f"{LIBRARY}{pk}/{name}/")


async def document(pk):
    return await stored(lambda: Document.objects.get(pk=pk))


async def found(question, language="fr"):
    return [p.text for p in await search(question, language=language, budget_ms=10_000)]


async def test_an_upload_is_looked_at_before_anybody_finds_it(ngo):
    pk = await uploaded(ngo, topic="noma", publisher="OMS", year="2023", url="https://example.org")
    page = (await ngo.get(f"{LIBRARY}{pk}/")).text
    for said in ("Le noma ronge", "Quand consulter", "when_to_go", "OMS", "Brouillon", "Dr Ngo"):
        assert said in page
    assert await found("noma") == []
    await step(ngo, pk, "publish")
    assert any("Le noma ronge" in text for text in await found("noma"))


async def test_the_version_before_stays_until_the_next_is_published(ngo):
    first = await uploaded(ngo, topic="noma")
    await step(ngo, first, "publish")
    second = await uploaded(ngo, NEXT, topic="noma")
    assert (await document(second)).version == 2
    assert "Tout de suite." in await found("noma quand consulter")
    page = (await ngo.get(f"{LIBRARY}{second}/")).text
    assert "Publier à la place de la version 1" in page
    assert page.count("desk-section-new") == 1
    await step(ngo, second, "publish")
    assert "Tout de suite, à l'hôpital." in await found("noma quand consulter")
    assert "Tout de suite." not in await found("noma quand consulter")
    assert (await document(first)).status == Status.SUPERSEDED
    await step(ngo, first, "publish")
    assert "Tout de suite." in await found("noma quand consulter")


async def test_what_is_withdrawn_is_found_no_more(ngo):
    pk = await uploaded(ngo)
    await step(ngo, pk, "publish")
    await step(ngo, pk, "withdraw")
    assert await found("noma") == []
    assert (await document(pk)).status == Status.WITHDRAWN


async def test_production_serves_it_once_a_clinician_has_signed(ngo, settings):
    settings.UNSIGNED_CONTENT = "hide"
    pk = await uploaded(ngo)
    await step(ngo, pk, "publish")
    assert await found("noma") == []
    assert "ce que personne n'a signé" in (await ngo.get(f"{LIBRARY}{pk}/")).text
    await step(ngo, pk, "sign")
    signed = await document(pk)
    assert (signed.signed_by, signed.signed_at is None) == ("Dr Ngo", False)
    assert await found("noma")


async def test_a_signed_version_is_replaced_only_by_a_signed_one(ngo):
    first = await uploaded(ngo, topic="noma")
    await step(ngo, first, "sign")
    await step(ngo, first, "publish")
    second = await uploaded(ngo, NEXT, topic="noma")
    await step(ngo, second, "publish")
    assert (await document(second)).status == Status.DRAFT
    assert "signez celle-ci" in (await ngo.get(f"{LIBRARY}{second}/")).text
    await step(ngo, second, "sign")
    await step(ngo, second, "publish")
    assert (await document(second)).status == Status.PUBLISHED


async def test_the_files_own_text_does_not_replace_what_a_clinician_published(ngo):
    file = site.GUIDANCE_DIR / "malaria.fr.md"
    ingest = lambda: call_command("ingest", str(file), "--no-embed", verbosity=0)  # noqa: E731
    await in_database(ingest)
    own = file.read_text().replace("title: ", "title: CHU, ", 1)
    pk = await uploaded(ngo, own, "malaria.md")
    await step(ngo, pk, "publish")
    await in_database(ingest)
    assert (await document(pk)).status == Status.PUBLISHED


async def test_a_signature_in_a_file_does_not_count(ngo):
    front = "---\ntopic: noma\nlanguage: fr\ntitle: Noma\nsigned_by: Dr Faux\n---\n\n## A\n\nb.\n"
    assert (await document(await uploaded(ngo, front))).signed_by is None


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (ENCRYPTED, "x.pdf", "mot de passe"),
        (scanned(), "x.pdf", "image"),
        (bomb(), "x.pdf", "mémoire"),
        (pdf([("Fièvre", 11)])[:150], "x.pdf", "abîmé"),
        (b"PK\x03\x04", "x.docx", "ni Markdown, ni HTML, ni PDF"),
        (b"# Toux", "x.pdf", "Son nom annonce PDF"),
        (b"x" * (11 << 20), "x.md", "10 Mo"),
        (b"---\ntopic: x\n---\n## A\n\nb", "x.md", "language"),
        (b"", "x.md", "vide"),
    ],
    ids=["encrypted", "scan", "bomb", "half", "word", "misnamed", "giant", "no language", "empty"],
)
async def test_a_bad_upload_is_refused_in_words(ngo, data, name, said):
    answer = await upload(ngo, data, name)
    assert (answer.status_code, said in answer.text) == (422, True), answer.text[-3000:]
    assert await stored(Document.objects.count) == 0


async def test_the_same_text_again_is_no_new_version(ngo):
    await uploaded(ngo)
    assert "déjà" in (await upload(ngo, TEXT)).text


async def test_two_uploads_at_once_are_two_versions(ngo):
    await asyncio.gather(*(upload(ngo, f"{TEXT}\n{n}", topic="noma") for n in range(4)))
    versions = await stored(lambda: list(Document.objects.values_list("version", flat=True)))
    assert sorted(versions) == [1, 2, 3, 4]


async def test_two_published_at_once_leave_one_and_its_words(ngo):
    pks = [await uploaded(ngo, f"{TEXT}\n{n}", topic="noma") for n in range(3)]
    await asyncio.gather(*(step(ngo, pk, "publish") for pk in pks))
    live = await stored(lambda: Document.objects.filter(status=Status.PUBLISHED).count())
    assert live == 1
    assert await found("noma")


async def test_what_is_published_gets_its_vectors(ngo, settings):
    file = site.GUIDANCE_DIR / "malaria.fr.md"
    await in_database(lambda: call_command("ingest", str(file), verbosity=0))
    pk = await uploaded(ngo)
    await step(ngo, pk, "publish")
    await asyncio.gather(*catching_up._running)
    digests = await stored(lambda: set(document_chunks(pk)))
    assert await stored(vectors.count, digests) == len(digests) == 2
    assert "Recherche par le sens : 2" in (await ngo.get(f"{LIBRARY}{pk}/")).text


def document_chunks(pk):
    return Chunk.objects.filter(document=pk).values_list("digest", flat=True)


async def test_markup_in_a_document_is_shown_as_text(ngo):
    evil = "<script>alert(1)</script>"
    pk = await uploaded(ngo, f"# Titre {evil}\n\n{evil}", topic="x", publisher=evil)
    await step(ngo, pk, "publish")
    tried = await post(ngo, f"{LIBRARY}try/", question=f"titre alert {evil}")
    for page in (await ngo.get(LIBRARY), await ngo.get(f"{LIBRARY}{pk}/"), tried):
        assert "&lt;script&gt;" in page.text
        assert evil not in page.text


async def test_an_address_that_is_a_script_is_refused(ngo):
    answer = await upload(ngo, TEXT, url="javascript:alert(1)")
    assert answer.status_code == 422


async def test_every_view_and_step_is_on_record(ngo):
    pk = await uploaded(ngo)
    await ngo.get(LIBRARY)
    await ngo.get(f"{LIBRARY}{pk}/")
    for name in ("sign", "publish"):
        await step(ngo, pk, name)
    await post(ngo, f"{LIBRARY}try/", question="le noma ?")
    await step(ngo, pk, "withdraw")
    log = await stored(lambda: list(AccessLog.objects.order_by("at").values_list("reason", "ids")))
    steps = ("upload", "documents", "document", "sign", "publish", "try", "withdraw")
    assert log == [(reason, [str(pk)]) for reason in steps]
    page = await ngo.get("/admin/accounts/accesslog/")
    assert f"a publié · Document {pk}" in page.text


async def test_a_step_that_cannot_be_is_not_taken(ngo):
    pk = await uploaded(ngo)
    await step(ngo, pk, "sign")
    for name in ("sign", "erase"):
        await step(ngo, pk, name)
    assert (await ngo.get(f"{LIBRARY}{pk}/publish/")).status_code == 405
    assert (await ngo.get(f"{LIBRARY}999/")).status_code == 404
    assert (await ngo.post(f"{LIBRARY}{pk}/publish/")).status_code == 403
    assert (await document(pk)).status == Status.DRAFT


async def test_only_clinicians_come_in(database):
    async with browser() as nobody:
        for path in (LIBRARY, UPLOAD, f"{LIBRARY}try/", f"{LIBRARY}1/"):
            assert (await nobody.get(path)).status_code == 302
        assert (await upload(nobody, TEXT)).status_code in (302, 403)


async def test_the_list_narrows(ngo):
    await in_database(
        lambda: call_command("ingest", str(site.GUIDANCE_DIR / "malaria.fr.md"), verbosity=0)
    )
    await uploaded(ngo)
    for query, said, unsaid in (
        ("", "Le noma", "zzz"),
        ("?versions=drafts", "Le noma", "paludisme"),
        ("?versions=published&signed=no&language=fr", "paludisme", "Le noma"),
        ("?q=noma", "Le noma", "paludisme"),
        ("?language=en", "Aucun document ici", "Le noma"),
    ):
        page = (await ngo.get(f"{LIBRARY}{query}")).text
        body = page[page.index("desk-table") :]
        assert said in body, query
        assert unsaid not in body, query


async def test_a_tried_question_shows_what_is_found_and_why(ngo):
    await step(ngo, await uploaded(ngo), "publish")
    page = (await post(ngo, f"{LIBRARY}try/", question="quand consulter pour le noma ?")).text
    for said in ("consult, nom", "when_to_go", "citée [1]", "D&#x27;après nos fiches"):
        assert said in page
    misspelt = (await post(ngo, f"{LIBRARY}try/", question="consullter")).text
    assert "consullt → consult" in misspelt
    nothing = (await post(ngo, f"{LIBRARY}try/", question="xylophone")).text
    assert "Rien n'a été trouvé" in nothing
    assert "dans aucun passage" in nothing
