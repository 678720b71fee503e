"""Pictures for whoever has none at hand: hills under a sky, drawn, and no two alike.

They are as large as photographs and as slow to make small. They are not photographs, and whoever
shows them says so.
"""

import random
from pathlib import Path

from apps.farm.thumbnails import pillow

SIZE = (1600, 1200)  # pixels, as a small camera's
HILLS = 5


def draw(folder: str, count: int) -> list[str]:
    """Draw pictures into a folder that is there.

    Args:
        folder: Where to.
        count: How many; the first ones are always the same.

    Returns:
        Their files.

    Raises:
        SetupError: Pillow is not installed.
    """
    return [_draw(Path(folder) / f"drawn-{number:03}.jpg", number) for number in range(count)]


def _draw(file: Path, number: int) -> str:
    chance = random.Random(number)  # noqa: S311 hills are no secret
    library, (width, height) = pillow(), SIZE
    top, bottom = _colour(chance, 120, 255), _colour(chance, 160, 255)
    sky = library.Image.linear_gradient("L").resize(SIZE)
    picture = library.ImageOps.colorize(sky, top, bottom)
    pen = library.ImageDraw.Draw(picture)
    x, y, radius = chance.randrange(width), chance.randrange(height // 2), chance.randrange(40, 160)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(chance, 200, 255))
    for hill in range(HILLS):
        level = height * (HILLS + hill) // (2 * HILLS)
        ridge = [(at, level + chance.randrange(-60, 60)) for at in range(0, width + 1, 80)]
        dark = 150 - 25 * hill
        pen.polygon([(0, height), *ridge, (width, height)], fill=_colour(chance, dark - 40, dark))
    picture.save(file, "JPEG", quality=90)
    return str(file)


def _colour(chance: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return chance.randrange(low, high), chance.randrange(low, high), chance.randrange(low, high)
