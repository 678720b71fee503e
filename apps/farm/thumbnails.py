"""Small pictures of large ones, and a contact sheet of a whole folder.

Pillow does the work: `pip install 'actormq[pictures]'`, on every machine that has a worker. It is
loaded when the first picture is, so that everybody else does without.
"""

import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from actormq import SetupError

EDGE = 160  # pixels, the longer side of a thumbnail: ten in a row fill a wide screen
CAPTION = 16  # pixels below each picture of a sheet for its name
GAP = 8  # pixels between the pictures of a sheet
CAPTION_LENGTH = 24  # characters that fit below a thumbnail in Pillow's own small font
QUALITY = 82  # of JPEG: beyond it the bytes grow faster than anybody sees
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def pictures(folder: str) -> list[str]:
    """Name the pictures of a folder and of all below it, in the order of their names.

    Raises:
        SetupError: It is no folder, or has no pictures.
    """
    root = Path(folder)
    if not root.is_dir():
        raise SetupError(f"{folder} is no folder: name one that has pictures")
    found = sorted(str(p) for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise SetupError(f"{folder} has no pictures: looked for files that end in {kinds}")
    return found


def thumbnail(path: str) -> bytes:
    """Make a small picture of a large one.

    Args:
        path: The picture's file.

    Returns:
        A JPEG, `EDGE` pixels at its longer side, upright as the camera was held.

    Raises:
        SetupError: Pillow is not installed.
        OSError: The file cannot be read, or is no picture.
    """
    library = pillow()
    with library.Image.open(path) as picture:
        picture.draft("RGB", (EDGE, EDGE))  # a JPEG is read at a fraction of its size
        upright = library.ImageOps.exif_transpose(picture).convert("RGB")
    upright.thumbnail((EDGE, EDGE))
    written = io.BytesIO()
    upright.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()


def contact_sheet(
    thumbnails: Iterable[tuple[str, bytes]], file: str, *, columns: int | None = None
) -> tuple[int, int]:
    """Put thumbnails side by side on one picture, each with the name of its file.

    Args:
        thumbnails: Names, and what `thumbnail` made, in the order in which they are to appear.
        file: Where the sheet is written to; its ending says in which form.
        columns: How many stand in a row; by default as many as there are rows.

    Returns:
        Width and height of the sheet, in pixels.

    Raises:
        SetupError: Pillow is not installed, there is nothing to show, or the file cannot be
            written.
    """
    library = pillow()
    shown = list(thumbnails)
    if not shown:
        raise SetupError(f"{file}: a sheet of no pictures is not written")
    across = columns or math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / across)
    width, height = across * (EDGE + GAP) + GAP, rows * (EDGE + CAPTION + GAP) + GAP
    sheet = library.Image.new("RGB", (width, height), "white")
    pen = library.ImageDraw.Draw(sheet)
    for (name, jpeg), (left, top) in zip(shown, _places(across, rows), strict=False):
        with library.Image.open(io.BytesIO(jpeg)) as small:
            sheet.paste(small, (left + (EDGE - small.width) // 2, top + (EDGE - small.height) // 2))
        pen.text((left, top + EDGE + 2), _caption(name), fill="black")
    try:
        sheet.save(file)
    except (OSError, ValueError) as error:  # ValueError: an ending that Pillow does not know
        raise SetupError(f"the sheet {file} cannot be written: {error}") from error
    return width, height


def _places(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """The upper left corners, row by row."""
    for row in range(rows):
        for column in range(columns):
            yield GAP + column * (EDGE + GAP), GAP + row * (EDGE + CAPTION + GAP)


def _caption(name: str) -> str:
    """The end of a name, which tells pictures of one camera apart, in letters that the font has."""
    plain = Path(name).name.encode("latin-1", "replace").decode("latin-1")
    return plain if len(plain) <= CAPTION_LENGTH else ".." + plain[2 - CAPTION_LENGTH :]


def pillow() -> ModuleType:
    """Load Pillow.

    Raises:
        SetupError: It is not installed.
    """
    try:
        import PIL.Image  # noqa: PLC0415 only who has pictures needs it
        import PIL.ImageDraw  # noqa: PLC0415 as above
        import PIL.ImageOps  # noqa: PLC0415 as above
    except ModuleNotFoundError as error:
        raise SetupError(
            "thumbnails need Pillow, which is not installed here: pip install 'actormq[pictures]'"
        ) from error
    return PIL
