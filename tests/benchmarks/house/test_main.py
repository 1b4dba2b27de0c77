import json

import pytest

from benchmarks.house.__main__ import main, measure
from benchmarks.house.checkout import Checkout

STATIC = ("folders classes comments lines duplicates words equations questions").split()


def test_a_tree_is_measured_and_its_figures_are_written(tree, tmp_path, capsys):
    root = tree({"convert/a.py": "said = 1\n", "benchmarks/b.py": "class A: ...\n"})
    figures, text = tmp_path / "house.json", tmp_path / "house.md"
    files = ["--json", str(figures), "--page", str(text), "--before", "absent.json"]
    main(["--root", str(root), "--only", *STATIC, *files])
    measures = json.loads(figures.read_text())["measures"]
    assert set(measures) == set(STATIC)
    assert measures["folders"]["folders"] == {"benchmarks": 1, "convert": 1}
    assert measures["lines"]["total"] == 1 and measures["words"]["empty"] == 1
    assert "| lines of the sources | – | 1 |" in text.read_text()
    assert "lines of the sources" in capsys.readouterr().out


def test_two_measurements_are_shown_without_a_third(tree, tmp_path, capsys):
    root = tree({"convert/a.py": "said = 1\n"})
    paths = [tmp_path / "before.json", tmp_path / "after.json"]
    for path in paths:
        path.write_text(json.dumps(measure(Checkout(root), ["lines"])))
        tree({"convert/a.py": "said = 1\n\n\n"})
    main(["--before", str(paths[0]), "--after", str(paths[1])])
    row = next(
        line
        for line in capsys.readouterr().out.splitlines()
        if "lines of the sources" in line
    )
    assert [part.strip() for part in row.split("│")[2:4]] == ["1", "3"]


def test_an_unknown_measure_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "beauty"])
    assert "invalid choice: 'beauty'" in capsys.readouterr().err
