"""A version of a document as a clinician sees it, and the steps it may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from carehelp.errors import CarehelpError
from rag import documents, vectors
from rag.models import Chunk, Document, Status

REASONS = {
    "too_many_bytes": _("It is too large: %(megabytes)s MB at most."),
    "empty": _("It is empty."),
    "unsupported": _("It is neither Markdown, HTML nor PDF. Word files: save them as PDF first."),
    "misnamed": _("Its name says %(named)s, but it is %(kind)s."),
    "unreadable": _("It is damaged: it cannot be read."),
    "encrypted": _("It is protected by a password. Save it without one, and upload that."),
    "no_text": _("No text was found in it. A scan holds pictures of text: run it through OCR."),
    "too_many_pages": _("It has too many pages. Upload it in parts."),
    "too_long": _("It has too much text. Upload it in parts."),
    "bomb": _("Reading it took more memory than any honest document needs."),
    "slow": _("Reading it took too long."),
    "no_topic": _("Its topic is missing, or is more than letters a to z, digits and hyphens."),
    "no_section": _("It has no section, such as '## Signes {#signs}'."),
    "not_yaml": _("What stands between its two lines of --- cannot be read."),
    "missing": _("Between its two lines of --- there is no '%(key)s'."),
    "not_a_list": _("Between its two lines of ---, '%(key)s' is not a list."),
    "language": _("Between its two lines of ---, 'language' is neither fr, en nor pcm."),
    "source": _("One of its sources has no title, or an address that is none."),
    "questions": _("Its common questions are not each '### Question?' with an answer below."),
    "section": _("One of its sections is none of those that guidance has."),
}


def problem(error: CarehelpError) -> str:
    """What is wrong with an upload, for whoever uploaded it. Lets go of what is no upload's fault."""
    if isinstance(error, documents.SameAgain):
        return gettext("This very text is the newest version of its topic already.")
    reason = error.members.get("reason")
    if reason not in REASONS:
        raise error
    return str(REASONS[reason]) % error.members


def _sign(document: Document, name: str) -> bool:
    if document.signed_by:
        return False
    documents.sign(document, name)
    return True


def _publish(document: Document, name: str) -> bool:
    if not may_publish(document):
        return False
    documents.alone()
    documents.publish(document)
    documents.refresh_terms()
    return True


def _withdraw(document: Document, name: str) -> bool:
    if document.status not in (Status.DRAFT, Status.PUBLISHED):
        return False
    documents.alone()
    documents.withdraw(document)
    documents.refresh_terms()
    return True


STEPS: dict[str, Callable[[Document, str], bool]] = {
    "sign": _sign,
    "publish": _publish,
    "withdraw": _withdraw,
}


def may_publish(document: Document) -> bool:
    return document.status != Status.PUBLISHED and not signature_is_due(document)


def signature_is_due(document: Document) -> bool:
    """What a clinician has signed is replaced only by what one has signed."""
    signed = documents.published_before(document).filter(signed_by__isnull=False)
    return not document.signed_by and signed.exists()


@dataclass(frozen=True, slots=True)
class Page:
    """What a document's page shows."""

    document: Document
    chunks: list[Chunk]
    new: set[str]
    replaces: Document | None
    versions: list[Document]
    vectors: int | None
    signature_is_due: bool
    may_publish: bool
    may_withdraw: bool
    hidden: bool


def page(document: Document) -> Page:
    chunks = list(document.chunks.all())
    replaces = documents.published_before(document).first()
    known = set(replaces.chunks.values_list("digest", flat=True)) if replaces else set()
    digests = {chunk.digest for chunk in chunks}
    return Page(
        document=document,
        chunks=chunks,
        new=digests - known if replaces else set(),
        replaces=replaces,
        versions=list(_versions(document)),
        vectors=vectors.count(digests),
        signature_is_due=signature_is_due(document),
        may_publish=may_publish(document),
        may_withdraw=document.status in (Status.DRAFT, Status.PUBLISHED),
        hidden=settings.UNSIGNED_CONTENT == "hide" and not document.signed_by,
    )


def _versions(document: Document) -> Any:
    same = {"kind": document.kind, "topic": document.topic, "language": document.language}
    return Document.objects.filter(**same).order_by("-version")
