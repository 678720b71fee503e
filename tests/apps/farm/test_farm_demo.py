"""The demo of a farm: real processes, one of them killed, and a comparison that would notice."""

import json
import signal
import subprocess
import sys

import pytest

from actormq import SetupError
from apps.farm.demo import farm
from apps.farm.drawn import draw
from apps.farm.tasks import ContactSheet, WordCount
from apps.farm.thumbnails import thumbnail
from apps.farm.words import count


@pytest.mark.slow
def test_the_demo_kills_a_worker_and_loses_nothing(tmp_path):
    for number in range(300):
        (tmp_path / f"{number}.py").write_text(f"one = {number}\nprint(one)\n" * 50)
    command = [sys.executable, "-m", "actormq", "demo", "farm", "--folder", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    expected = {"files": 300, "results": 300, "words": 300 * 50 * 3, "different": 2}
    assert {key: outcome[key] for key in expected} == expected
    assert outcome["killed"] == {"worker-2": -signal.SIGKILL}
    assert (outcome["right"], outcome["failed"]) == (True, 0)
    assert outcome["by_node"].keys() <= {"worker-1", "worker-2", "worker-3"}
    assert "100 results are there: kills worker-2 with SIGKILL\n" in done.stderr
    assert "right: nothing lost, nothing counted twice; " in done.stderr


@pytest.mark.slow
def test_ctrl_c_ends_the_demo_like_any_other_end(tmp_path):
    (tmp_path / "one.py").write_text("one\n")
    command = [sys.executable, "-m", "actormq", "demo", "farm", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout.readline().startswith("1 file; three nodes: ")
        demo.send_signal(signal.SIGINT)
        assert demo.stdout.read() == "stopped early: 0 of 1 were done\n"
        assert demo.wait(100) == 0


def files(folder):
    for name in ("a.py", "b.py"):
        (folder / name).write_text("one two two")
    return [str(folder / "a.py"), str(folder / "b.py")]


@pytest.mark.parametrize(
    ("taken", "is_right"), [("ab", True), ("a", False), ("abb", False), ("aa", True)]
)
def test_words_that_are_lost_or_counted_twice_are_noticed(tmp_path, taken, is_right):
    tasks = WordCount(files(tmp_path))
    for name in taken:
        path = str(tmp_path / f"{name}.py")
        tasks.take(path, count(path))
    assert tasks.is_right() is is_right  # twice one that is like the other is no difference
    assert tasks.said().endswith("different ones; most of all two 4, one 2") is is_right


@pytest.mark.parametrize(
    ("taken", "is_right"),
    [((0, 1), True), ((1, 0), True), ((0,), False), ((0, 1, 1), False), ((0, 0), False)],
)
def test_thumbnails_that_are_lost_or_made_twice_are_noticed(tmp_path, taken, is_right):
    pytest.importorskip("PIL.Image", reason="Pillow has no wheel for this Python")
    paths = draw(str(tmp_path), 2)
    tasks = ContactSheet(paths, str(tmp_path / "sheet.png"))
    for number in taken:
        tasks.take(paths[number], thumbnail(paths[number]))
    assert tasks.is_right() is is_right
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert tasks.said().startswith(str(tmp_path / "sheet.png"))


@pytest.mark.slow
def test_a_file_that_is_no_picture_fails_by_name_and_the_sheet_shows_the_others(tmp_path):
    pytest.importorskip("PIL.Image", reason="Pillow has no wheel for this Python")
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw(str(folder), 3)
    (folder / "broken.jpg").write_text("no picture")
    sheet = str(tmp_path / "sheet.png")
    command = [sys.executable, "-m", "actormq", "demo", "farm", "--pictures", str(folder)]
    done = subprocess.run(
        [*command, "--sheet", sheet], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1, done.stderr
    *_, shown, failed, last = done.stdout.splitlines()
    assert shown.startswith(f"{sheet} shows them, ")
    assert failed.startswith(f"failed: {folder / 'broken.jpg'}: ")
    assert "cannot identify image file" in failed
    assert last.startswith("1 of 4 pictures failed; the others are right")
    assert "Traceback" not in done.stderr


def test_a_thumbnail_that_is_another_is_noticed(tmp_path):
    pytest.importorskip("PIL.Image", reason="Pillow has no wheel for this Python")
    paths = draw(str(tmp_path), 2)
    tasks = ContactSheet(paths, str(tmp_path / "sheet.png"))
    for path in paths:
        tasks.take(path, thumbnail(paths[0]))
    assert not tasks.is_right()


def test_a_folder_without_files_is_said(tmp_path):
    with pytest.raises(SetupError, match="has no Python files: name a folder that has some"):
        farm(str(tmp_path), None, None, as_json=False)
    with pytest.raises(SetupError, match="has no pictures"):
        farm(None, str(tmp_path), None, as_json=False)
