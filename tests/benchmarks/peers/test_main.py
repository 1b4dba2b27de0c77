"""The whole comparison, small, with nobody else's packages."""

import json

import numpy as np

from benchmarks.peers import __main__ as command
from benchmarks.peers import outside
from benchmarks.peers.__main__ import HERE, figures, shortened
from benchmarks.peers.known import cell_named
from benchmarks.peers.methods import Answer, without_interval
from benchmarks.peers.outside import Told

CELLS = (cell_named("OU 20 ms, 40 × 1 s"), cell_named("linear rate 50 ms, 40 × 1 s"))


def test_without_any_package_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "CELLS", CELLS)
    # It would be looked for, in a process of its own.
    monkeypatch.delitem(outside.PEERS, "mrestimator")
    words = ["peers", "--quick", "--page", str(tmp_path), "--limit", "30"]
    monkeypatch.setattr("sys.argv", words)
    command.main()
    page = (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert page.count("not had: no checkout was named.") == 4
    found = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))
    assert {row["peer"] for row in found["rows"]} == {HERE}
    assert found["units"] == 8 and not found["comparisons"]
    monkeypatch.setattr("sys.argv", ["peers", "--render", "--page", str(tmp_path)])
    command.main()
    assert (tmp_path / "peers.md").read_text(encoding="utf-8") == page


def test_every_claim_is_held_against_every_other_method():
    name = CELLS[0].name
    ours = [
        Answer(name, method, without_interval(np.array([0.02, 0.022, 0.019])), 0.1)
        for method in ("state τ", "ml")
    ]
    theirs = Answer(name, "x", without_interval(np.array([0.03, 0.01])), 0.1)
    told = [Told(peer=HERE, answers=ours), Told(peer="p", answers=[theirs])]
    result = figures(told)
    pairs = [(row["ours"], row["theirs"]) for row in result["comparisons"]]
    assert pairs == [("state τ", "x"), ("ml", "x")]
    assert all(row["units"] == 2 for row in result["comparisons"])
    assert [one["peer"] for one in result["packages"]] == ["p"]
    assert [cell["name"] for cell in result["cells"]] == [name]


def test_figures_have_five_digits():
    value = {"a": [1 / 3, 2], "b": None, "c": 123456.7}
    assert shortened(value) == {"a": [0.33333, 2], "b": None, "c": 123460.0}
