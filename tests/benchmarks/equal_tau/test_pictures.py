"""The pictures of docs/equal-tau.md are drawn from figures that lie beside pages."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.equal_tau.pictures import CASES, DROPPED, draw
from benchmarks.repository import RESULTS, ROOT
from benchmarks.results import read_figures

NAMES = ("equal-tau-units", "equal-tau-curves", "equal-tau-copies")


@pytest.fixture(scope="module")
def figures():
    return read_figures(RESULTS / "equal_tau_pictures.json")


@pytest.mark.long
def test_every_picture_is_drawn_and_shown(figures, tmp_path):
    draw(tmp_path, figures)
    page = (ROOT / "docs/equal-tau.md").read_text(encoding="utf-8")
    for name in NAMES:
        drawn, kept = (
            np.asarray(Image.open(folder / f"{name}.png"))
            for folder in (tmp_path, ROOT / "docs")
        )
        assert drawn.shape == kept.shape and np.unique(drawn).size > 20
        assert f"]({name}.png)" in page


def test_what_the_page_says_of_this_network_holds(figures):
    """Dropped, the states are many times too fast; carried they are right."""
    cases = figures["cases"]
    assert set(cases) == set(CASES)
    assert cases[DROPPED]["compared"]["lif"]["ratio"] < 0.2
    for stage in ("lif", "fixed"):
        compared = {name: case["compared"][stage] for name, case in cases.items()}
        assert 0.93 < compared["1"]["ratio"] < 1.07
        assert compared["4"]["sd_log"] < compared["1"]["sd_log"] < 0.15
        assert compared["4"]["acf_rms"] < compared["1"]["acf_rms"]
