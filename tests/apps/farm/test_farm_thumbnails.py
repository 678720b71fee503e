"""Thumbnails of pictures of all kinds, and what a sheet of them looks like."""

import io
import sys

import pytest

from actormq import SetupError
from apps.farm.drawn import SIZE, draw
from apps.farm.thumbnails import EDGE, contact_sheet, pictures, thumbnail

Image = pytest.importorskip("PIL.Image", reason="Pillow has no wheel for this Python")


def opened(jpeg):
    return Image.open(io.BytesIO(jpeg))


@pytest.mark.parametrize(
    ("name", "mode", "size", "small"),
    [
        ("wide.png", "RGB", (640, 320), (EDGE, EDGE // 2)),
        ("high.jpg", "RGB", (320, 640), (EDGE // 2, EDGE)),
        ("clear.png", "RGBA", (400, 400), (EDGE, EDGE)),
        ("few.gif", "P", (400, 400), (EDGE, EDGE)),
        ("grey.bmp", "L", (400, 400), (EDGE, EDGE)),
        ("tiny.png", "RGB", (8, 4), (8, 4)),  # what is small stays as it is
    ],
)
def test_a_thumbnail_fits_its_edge_whatever_the_picture_is(tmp_path, name, mode, size, small):
    Image.new(mode, size).save(tmp_path / name)
    with opened(thumbnail(str(tmp_path / name))) as made:
        assert (made.format, made.mode, made.size) == ("JPEG", "RGB", small)


def test_a_thumbnail_stands_upright_as_the_camera_was_held(tmp_path):
    picture = Image.new("RGB", (400, 200), "white")
    picture.paste("black", (0, 0, 200, 200))
    told = Image.Exif()
    told[0x0112] = 6  # orientation: the camera stood on its right side
    picture.save(tmp_path / "held.jpg", exif=told)
    with opened(thumbnail(str(tmp_path / "held.jpg"))) as made:
        assert made.size == (EDGE // 2, EDGE)
        assert made.getpixel((40, 20))[0] < 60
        assert made.getpixel((40, 140))[0] > 200


def test_a_sheet_has_a_place_and_a_name_for_each_picture(tmp_path):
    jpegs = []
    for number, colour in enumerate(("red", "lime", "blue")):
        Image.new("RGB", (EDGE, EDGE), colour).save(tmp_path / f"{number}.png")
        jpegs.append((f"{number}.png", thumbnail(str(tmp_path / f"{number}.png"))))
    file = tmp_path / "sheet.png"
    width, height = contact_sheet(jpegs, str(file))
    with Image.open(file) as sheet:
        assert sheet.size == (width, height)
        quarters = [(width // 4, height // 4), (3 * width // 4, height // 4)]
        quarters += [(width // 4, 3 * height // 4), (3 * width // 4, 3 * height // 4)]
        seen = [sheet.getpixel(place) for place in quarters]
        assert [max(range(3), key=pixel.__getitem__) for pixel in seen[:3]] == [0, 1, 2]
        assert seen[3] == (255, 255, 255)
        below = sheet.crop((8, 8 + EDGE, 8 + EDGE, 8 + EDGE + 16))
        assert below.getextrema()[0][0] < 128  # the name, in black


def test_drawn_pictures_are_the_same_each_time_and_no_two_alike(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        draw(str(folder), 2)
    one, two = (pictures(str(folder)) for folder in folders)
    small = [thumbnail(path) for path in [*one, *two]]
    assert small[:2] == small[2:]
    assert small[0] != small[1]
    with Image.open(one[0]) as picture:
        assert picture.size == SIZE


def test_what_is_no_picture_is_said(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(OSError, match="cannot identify image file"):
        thumbnail(str(tmp_path / "text.jpg"))
    with pytest.raises(SetupError, match=r"nowhere is no folder: name one that has pictures"):
        pictures(str(tmp_path / "nowhere"))
    (tmp_path / "text.jpg").rename(tmp_path / "text.txt")
    with pytest.raises(SetupError, match=r"has no pictures: looked for files that end in \.bmp, "):
        pictures(str(tmp_path))
    with pytest.raises(SetupError, match="a sheet of no pictures is not written"):
        contact_sheet([], str(tmp_path / "sheet.png"))
    jpegs = [("a", thumbnail(draw(str(tmp_path), 1)[0]))]
    for name in ("sheet.unknown", "no/folder.png"):
        with pytest.raises(SetupError, match=f"the sheet .*{name} cannot be written: "):
            contact_sheet(jpegs, str(tmp_path / name))


def test_without_pillow_it_is_said_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(SetupError, match=r"not installed here: pip install 'actormq\[pictures\]'"):
        thumbnail("any.jpg")
