from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from rag import documents, embedding, vectors
from rag.guidance import read_guidance


class Command(BaseCommand):
    help = (
        "Write the vectors that the guidance files ship with. Run it after changing them: a text "
        "without its vector is embedded where it is ingested, which takes longer. No database."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        file = vectors.file_of(settings.GUIDANCE_DIR, embedding.model_name())
        known: dict[str, vectors.Vector] = dict(vectors.load_file(file)) if file.exists() else {}
        texts = self._texts()
        todo = [digest for digest in texts if digest not in known]
        for start in range(0, len(todo), vectors.BATCH):
            batch = todo[start : start + vectors.BATCH]
            found = embedding.embed_now([texts[digest] for digest in batch], "passage")
            known |= dict(zip(batch, found, strict=True))
            self.stdout.write(f"{start + len(batch)} of {len(todo)}")
        vectors.save_file(file, {digest: known[digest] for digest in texts})
        self.stdout.write(f"{file.name}: {len(texts)} vectors, {len(todo)} of them new")

    def _texts(self) -> dict[str, str]:
        """What each passage's vector is made from, by digest."""
        paths = sorted(settings.GUIDANCE_DIR.glob("*.*.md"))
        return {
            documents.chunk_digest(parsed.title, piece): documents.embedding_text(
                parsed.title, piece
            )
            for parsed in map(read_guidance, paths)
            for section in parsed.sections
            for piece in documents.pieces(section)
        }
