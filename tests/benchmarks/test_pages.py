"""Every page of docs/results is what the renderer makes of the figures beside it."""

import ast
import re

import pytest

from benchmarks.__main__ import COMMANDS, PAGES, main
from benchmarks.page import render
from benchmarks.repository import RESULTS, ROOT
from benchmarks.results import read_figures

# What Markdown takes for a list, a heading or a quotation at the start of a line.
MARK = re.compile(r"([-+*>]|\d+[.)]|#+) ")
COMMITTED = sorted(path.stem for path in RESULTS.glob("*.md"))
# Modules that run in processes of another, by no command of their own.
CHILDREN = {
    "worker",
    "first_call",
    "run_lava",
    "run_brian",
    "run_nengo",
    "walk",
    "chips",
}
CHILDREN |= {"run_earlier"}


def test_every_page_is_rendered():
    assert set(COMMITTED) <= set(PAGES)
    assert len(COMMITTED) >= 6


@pytest.mark.parametrize("name", COMMITTED)
def test_the_page_is_made_of_its_figures_alone(name):
    page = PAGES[name](read_figures(RESULTS / f"{name}.json"))
    assert render(page) == (RESULTS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMITTED)
def test_no_line_of_a_paragraph_begins_like_a_list(name):
    for block in (RESULTS / f"{name}.md").read_text(encoding="utf-8").split("\n\n"):
        for line in block.split("\n")[1:]:
            assert block.startswith("- ") or not MARK.match(line), line


def test_all_pages_at_once(tmp_path, monkeypatch):
    for name in ("tuning", "targets-onnx"):
        figures = RESULTS / f"{name}.json"
        (tmp_path / figures.name).write_bytes(figures.read_bytes())
    command = ["benchmarks", "--render", "--page", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    main()
    for name in ("tuning", "targets-onnx"):
        page = (tmp_path / f"{name}.md").read_bytes()
        assert page == (RESULTS / f"{name}.md").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_an_unknown_page_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "--render", "weather"])
    with pytest.raises(SystemExit):
        main()
    assert "got ['weather'], need some of" in capsys.readouterr().err


def test_every_command_is_listed(monkeypatch, capsys):
    runnable = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "benchmarks").rglob("*.py")
        if path.stem not in CHILDREN and _runs(path)
    }
    modules = {name.removesuffix(".__main__") for name in runnable} - {"benchmarks"}
    assert modules == set(COMMANDS)
    monkeypatch.setattr("sys.argv", ["benchmarks"])
    main()
    assert "python -m benchmarks.tuning.speed " in capsys.readouterr().out


def _runs(path):
    tests = [n.test for n in ast.parse(path.read_text()).body if isinstance(n, ast.If)]
    return any(ast.unparse(test) == "__name__ == '__main__'" for test in tests)
