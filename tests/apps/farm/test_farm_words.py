"""Words of files: two ways of counting that come to the same."""

from collections import Counter

import pytest

from apps.farm.words import added, count, direct, sources


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", {}),
        (b"for x in X: pass", {"for": 1, "x": 2, "in": 1, "pass": 1}),
        (b"self.self_self1self", {"self": 4}),
        ("naïve Ärger".encode(), {"na": 1, "ve": 1, "rger": 1}),
        (b"a\x00b\xffc\r\nd", {"a": 1, "b": 1, "c": 1, "d": 1}),
    ],
)
def test_a_word_is_a_run_of_letters_whichever_way_it_is_counted(tmp_path, text, words):
    path = tmp_path / "text.py"
    path.write_bytes(text)
    assert count(str(path)) == words
    assert direct([str(path)]) == words


def test_words_do_not_run_from_one_file_into_the_next(tmp_path):
    paths = [tmp_path / "a.py", tmp_path / "b.py"]
    for path in paths:
        path.write_text("end")
    assert direct(map(str, paths)) == {"end": 2}


@pytest.mark.slow
def test_the_words_of_files_added_up_are_those_of_all_files_at_once():
    paths = sources()[::20]  # of the standard library
    total = Counter()
    for path in paths:
        added(total, count(path))
    assert len(paths) > 20
    assert total == direct(paths)
    assert total["import"] > len(paths) // 2


@pytest.mark.slow
def test_what_was_installed_later_is_no_part_of_the_library(tmp_path):
    names = ["z.py", "a/b.py", "a/notes.txt", "site-packages/c.py"]
    for path in map(tmp_path.joinpath, names):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert sources(str(tmp_path)) == [str(tmp_path / "a" / "b.py"), str(tmp_path / "z.py")]
    assert not [path for path in sources() if "site-packages" in path]
