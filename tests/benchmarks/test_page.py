"""What the renderer of result pages makes of sections, tables and numbers."""

import pytest

from benchmarks import page
from benchmarks.page import MarkdownTable, PageSection, render

PROVENANCE = {
    "command": "python -m benchmarks.a",
    "in_parts": False,
    "commit": "abc1234",
    "uncommitted": False,
    "machine": "x86_64, 2 cores, Linux",
    "versions": {"python": "3.11.7", "torch": "2.4", "numpy": "2.0", "onnx": "1.16"},
}
TABLE = MarkdownTable(
    ["name", "share", "interval", "note"],
    [["a", "9 %", "+0.1 (−0.1 to +0.2)", "1.5 or so"], ["b", "–", "−3", "none"]],
)


def test_a_page_is_headings_paragraphs_lists_and_tables():
    section = PageSection("Part", ["Text.", ["one", "two"], TABLE])
    assert render(PageSection("Page", ["Start.", section])) == (
        "# Page\n\nStart.\n\n## Part\n\nText.\n\n- one\n- two\n\n"
        "| name | share | interval | note |\n"
        "|---|---:|---:|---|\n"
        "| a | 9 % | +0.1 (−0.1 to +0.2) | 1.5 or so |\n"
        "| b | – | −3 | none |\n"
    )


def test_a_table_without_rows_is_its_head():
    assert page.render_table(MarkdownTable(["a", "b"], [])) == "| a | b |\n|---|---|"


def test_lines_are_broken_between_words_and_outside_of_code():
    word = "`python -m " + 90 * "x" + "`"
    lines = render(PageSection("Page", [f"{'word ' * 30}{word}", ["item " * 30]]))
    assert word in lines
    assert all(len(line) <= page.WIDTH for line in lines.split("\n") if word != line)
    assert "\n  item" in lines


def test_a_table_for_the_terminal_stands_in_columns():
    lines = page.plain_table(TABLE).split("\n")
    assert lines[0] == "name  share             interval  note"
    assert lines[1] == "a       9 %  +0.1 (−0.1 to +0.2)  1.5 or so"
    assert lines[2] == "b         –                   −3  none"


def test_where_figures_come_from():
    text = page.made_by(PROVENANCE, "benchmarks.a", "a.json")
    assert text == (
        "Every figure stands in `a.json` too. Made by `python -m benchmarks.a`, at "
        "commit abc1234, on x86_64, 2 cores, Linux, Python 3.11.7, torch 2.4, numpy "
        "2.0."
    )


def test_what_is_unusual_about_their_making_is_said():
    provenance = PROVENANCE | {
        "command": "python old/a.py",
        "in_parts": True,
        "uncommitted": True,
    }
    text = page.made_by(
        provenance,
        "benchmarks.a",
        "a.json",
        options=" --seed 3",
        notes=["seed 3"],
        packages=["onnx"],
    )
    assert (
        "`python -m benchmarks.a --seed 3`, in parts (`--only`), at commit abc1234 "
        "(there `python old/a.py`) with uncommitted changes, seed 3, on x86_64"
    ) in text
    assert text.endswith("numpy 2.0, onnx 1.16.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (page.number(None), "–"),
        (page.number(0.256), "0.26"),
        (page.percent(None), "–"),
        (page.percent(0.256), "25.6"),
        (page.percent(-0.25, "+.0f"), "-25"),
        (page.interval(None, 0.1, 0.2), "–"),
        (page.interval(0.15, None, None), "0.15"),
        (page.interval(0.15, 0.1, 0.2), "0.15 (0.10–0.20)"),
        (page.interval(0.15, -0.1, 0.2, "+.1f"), "+0.1 (-0.1 to +0.2)"),
        (page.interval(93.0, 89.0, 97.0, ".0f", " %"), "93 % (89–97)"),
        (page.three_digits(0.12345), "0.123"),
        (page.three_digits(12345.0), "12,300"),
    ],
)
def test_numbers(text, expected):
    assert text == expected
