"""PDFs for the tests, written by hand: pages of `(text, size)` lines in Helvetica."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

ENCRYPTED = (Path(__file__).parent / "data" / "encrypted.pdf").read_bytes()
"""Wants the password "secret"."""

Lines = Sequence[tuple[str, float]]


def pdf(*pages: Lines, title: str = "") -> bytes:
    """One page a sequence of lines, from the top."""
    return _file([_content(lines) for lines in pages], title)


def _content(lines: Lines) -> bytes:
    said, height = [b"BT"], 800.0
    for text, size in lines:
        height -= 1.6 * size
        letters = text.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(")
        letters = letters.replace(b")", b"\\)")
        said.append(b"/F %g Tf 1 0 0 1 50 %g Tm (%s) Tj" % (size, height, letters))
    return b"\n".join([*said, b"ET"])


def _file(contents: Sequence[bytes], title: str = "", filters: int = 0) -> bytes:
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(contents), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number, content in enumerate(contents):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R"
            b"/Resources<</Font<</F 3 0 R>>>>>>" % (5 + 2 * number)
        )
        how = b"/Filter[%s]" % (b"/FlateDecode" * filters)
        objects.append(b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), how, content))
    objects.append(b"<</Title(%s)>>" % title.encode("cp1252"))
    return _joined(objects)


def _joined(objects: Sequence[bytes]) -> bytes:
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(
        b"trailer<</Size %d/Root 1 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (len(objects) + 1, len(objects), start)
    )
    return out.getvalue()


def scanned() -> bytes:
    """A page that is a picture of text."""
    page = Image.new("RGB", (600, 800), "white")
    ImageDraw.Draw(page).text((50, 50), "Le paludisme donne de la fièvre", fill="black")
    out = io.BytesIO()
    page.save(out, "PDF")
    return out.getvalue()


def bomb(gigabytes: int = 4) -> bytes:
    """A page whose content is a few kilobytes here, and `gigabytes` when it is unpacked twice."""
    packer = zlib.compressobj()
    start = packer.compress(b" ") + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same letters are packed into the same bytes, which may be repeated.
    megabyte = packer.compress(b"BT /F 9 Tf (palu) Tj ET " * 43_690)
    megabyte += packer.flush(zlib.Z_FULL_FLUSH)
    return _file([zlib.compress(start + megabyte * 1000 * gigabytes)], filters=2)
