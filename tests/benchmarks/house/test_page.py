from benchmarks.house.__main__ import OF_ALL, OF_SOURCES
from benchmarks.house.page import house_page, rows, table_of
from benchmarks.page import render


def results(module, commit, text):
    modules = [module(text, "convert/a.py")]
    measures = {name: of(modules) for name, of in (OF_ALL | OF_SOURCES).items()}
    return {"commit": commit, "python": "3.11", "measures": measures}


def test_before_and_after_stand_side_by_side(module):
    before = results(module, "aaa", "found = 1\n")
    after = results(module, "bbb", "rate = 1  # in Hz\n")
    table = {row[0]: row[1:] for row in rows(after["measures"], before["measures"])}
    assert table["comments in 100 lines of code"] == ("0.00", "100.00", "≥ 6", "✓")
    assert table["variables that are pronouns or participles"][:2] == ("1", "0")
    assert table["lines of the sources"] == ("1", "1", "≤ 46,000", "✓")
    assert table["public names that dir() or mypy do not see"][:2] == ("–", "–")


def test_the_page_says_what_was_counted_where(module):
    after = results(module, "bbb", "class A: ...\n\n\nclass A:\n    got = 1\n")
    text = render(house_page(after, results(module, "aaa", "")))
    assert "two commits: aaa before and bbb after" in " ".join(text.split())
    assert "| class names defined more than once | 0 | 1 | 0 | ✗ |" in text
    assert "- `A`: convert/a.py:1, convert/a.py:4" in text
    assert "`got` 1." in text
    assert "## Longest duplicates\n\nNone." in text


def test_a_page_can_stand_without_earlier_figures(module):
    after = results(module, "bbb", "")
    assert "commits: none before" in " ".join(render(house_page(after, {})).split())
    assert table_of(after["measures"], {}).row_count > 10
