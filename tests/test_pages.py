"""The pages hang together: each link leads somewhere, and the decisions are counted in a row."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def anchors(page):
    """What the headings of a page are called in links, as GitHub makes it of them."""
    block = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
    text = block.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    astray = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            astray.append(target)
    assert astray == []


def test_the_decisions_are_counted_in_a_row():
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in DECISIONS]
    assert [int(re.match(r"# (\d+)\. ", title)[1]) for title in titles] == [
        *range(1, len(DECISIONS) + 1)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_to_a_decision_says_its_number(page):
    links = re.findall(r"\[decision (\d+)\]\(\S*?(\d{4})-", page.read_text(encoding="utf-8"))
    assert [said for said, number in links if int(said) != int(number)] == []


def test_readme_names_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert [name for name in pages if f"(docs/{name})" not in readme] == []
