"""What we know: documents in versions, cut into chunks, each with the sources it rests on.

None of it is a patient's, so it stands outside row level security and is searched by the patients'
login directly. Columns that only SQL reads (the text-search vector) are made in the migrations.
"""

from __future__ import annotations

from enum import StrEnum

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from carehelp.database.access import WRITE, Shared

QUESTIONS = "questions"
"""The section that has many passages: a common question each, the heading, and its answer."""

SECTIONS = (
    "overview",
    "signs",
    "steps",
    "home_care",
    "when_to_go",
    "do_not",
    "prevention",
    QUESTIONS,
)


class Kind(StrEnum):
    """Guidance is what answers cite. Local statistics rank below it and are never evidence."""

    GUIDANCE = "guidance"
    LOCAL_STATISTICS = "local_statistics"


class Status(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


LANGUAGES = (("fr", _("French")), ("en", _("English")), ("pcm", _("Cameroon Pidgin")))
KINDS = (
    (Kind.GUIDANCE.value, _("Guidance")),
    (Kind.LOCAL_STATISTICS.value, _("Local statistics")),
)
STATUSES = (
    (Status.DRAFT.value, _("Draft")),
    (Status.PUBLISHED.value, _("Published")),
    (Status.SUPERSEDED.value, _("Superseded")),
    (Status.WITHDRAWN.value, _("Withdrawn")),
)


class Source(Shared):
    """A publication that documents rest on."""

    desk_rights = WRITE

    title = models.TextField()
    publisher = models.TextField(blank=True)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    url = models.TextField(blank=True)

    class Meta:
        db_table = "rag_source"
        constraints = (
            models.UniqueConstraint(
                fields=["url", "title", "publisher", "year"],
                name="rag_source_once",
                nulls_distinct=False,
            ),
        )

    def __str__(self) -> str:
        return ", ".join(str(part) for part in (self.title, self.publisher, self.year) if part)


class Document(Shared):
    """One version of one text about one topic in one language."""

    desk_rights = WRITE

    topic = models.SlugField(max_length=120)
    language = models.CharField(max_length=3, choices=LANGUAGES)
    version = models.PositiveIntegerField(default=1)
    kind = models.CharField(max_length=20, choices=KINDS, default=Kind.GUIDANCE.value)
    title = models.TextField()
    keywords = ArrayField(models.TextField(), default=list, blank=True)
    content = models.TextField()
    digest = models.CharField(max_length=64)
    origin = models.TextField(blank=True)
    uploaded_by = models.TextField(null=True, blank=True)  # noqa: DJ001 (null: came with the files)
    status = models.CharField(max_length=12, choices=STATUSES, default=Status.DRAFT.value)
    signed_by = models.TextField(null=True, blank=True)  # noqa: DJ001 (null says unsigned, as in the files)
    signed_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    sources = models.ManyToManyField(Source, through="Citation", related_name="documents")

    class Meta:
        db_table = "rag_document"
        ordering = ("topic", "language", "-version")
        constraints = (
            models.UniqueConstraint(
                fields=["kind", "topic", "language", "version"], name="rag_document_version_once"
            ),
            models.UniqueConstraint(
                fields=["kind", "topic", "language"],
                condition=Q(status="published"),
                name="rag_document_published_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.topic} ({self.language}, version {self.version})"


class Citation(Shared):
    """That a document rests on a source; `read` says whether the source's own text was read."""

    desk_rights = WRITE

    document = models.ForeignKey(Document, models.CASCADE, related_name="citations")
    source = models.ForeignKey(Source, models.PROTECT, related_name="citations")
    position = models.PositiveSmallIntegerField()
    read = models.BooleanField(default=False)

    class Meta:
        db_table = "rag_citation"
        ordering = ("document", "position")
        constraints = (
            models.UniqueConstraint(fields=["document", "position"], name="rag_citation_once"),
        )

    def __str__(self) -> str:
        return f"{self.document_id}.{self.position}"


class Chunk(Shared):
    """A passage: what is searched and cited.

    `topic`, `kind`, `language`, `title`, `live` (its document is published) and `signed` repeat the
    document's, so that candidates are chosen without a join. `digest` keys the text's vectors.
    """

    desk_rights = WRITE

    document = models.ForeignKey(Document, models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    topic = models.TextField()
    kind = models.CharField(max_length=20, choices=KINDS)
    language = models.CharField(max_length=3, choices=LANGUAGES)
    section = models.CharField(max_length=20, blank=True)
    title = models.TextField()
    heading = models.TextField(blank=True)
    keywords = models.TextField(blank=True)
    text = models.TextField()
    digest = models.CharField(max_length=64)
    live = models.BooleanField(default=False)
    signed = models.BooleanField(default=False)

    class Meta:
        db_table = "rag_chunk"
        ordering = ("document", "position")
        constraints = (
            models.UniqueConstraint(fields=["document", "position"], name="rag_chunk_once"),
        )
        indexes = (
            models.Index(
                fields=["topic", "section", "language"],
                condition=Q(live=True),
                name="rag_chunk_siblings",
            ),
            models.Index(fields=["digest"], name="rag_chunk_digest"),
            models.Index(
                fields=["language"],
                condition=Q(live=True, section=QUESTIONS),
                name="rag_chunk_questions",
            ),
        )

    def __str__(self) -> str:
        return f"{self.topic}.{self.language} {self.section or self.position}"


class Term(Shared):
    """In how many live chunks a lexeme stands; the empty lexeme counts all live chunks.

    Gives rare words their weight and misspelt ones their correction. Refreshed after each ingest.
    """

    desk_rights = WRITE

    lexeme = models.TextField(primary_key=True)
    chunks = models.PositiveIntegerField()

    class Meta:
        db_table = "rag_term"

    def __str__(self) -> str:
        return self.lexeme


class Checkpoint(Shared):
    """What a batch of a file of records came to, kept while that file is being read.

    `sealed` is encrypted: counts this small could point at somebody. Nobody but the owner's login,
    which ingests, may read it.
    """

    app_rights = ()
    desk_rights = ()

    name = models.TextField()
    digest = models.CharField(max_length=64)
    position = models.PositiveBigIntegerField()
    sealed = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "rag_checkpoint"
        constraints = (
            models.UniqueConstraint(
                fields=["name", "digest", "position"], name="rag_checkpoint_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.position}"


class EmbeddingModel(Shared):
    """A model whose vectors are kept; the one that is `active` is what questions are compared in.

    `least_cosine` is how alike it finds texts that have nothing to do with each other.
    """

    name = models.TextField(primary_key=True)
    dimensions = models.PositiveSmallIntegerField()
    least_cosine = models.FloatField(default=0.75)
    active = models.BooleanField(default=False)
    activated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "rag_embedding_model"
        constraints = (
            models.UniqueConstraint(
                fields=["active"], condition=Q(active=True), name="rag_embedding_model_one_active"
            ),
        )

    def __str__(self) -> str:
        return self.name


class Vector(Shared):
    """A text's vector, kept under the text's digest and the model: documents may come and go.

    The table exists only where Postgres has pgvector; `embedding` (halfvec) is between it and
    `rag.vectors`.
    """

    desk_rights = WRITE

    pk = models.CompositePrimaryKey("model", "digest")
    model = models.TextField()
    digest = models.TextField()

    class Meta:
        db_table = "rag_vector"
        managed = False

    def __str__(self) -> str:
        return f"{self.model} {self.digest[:8]}"
