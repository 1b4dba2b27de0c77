import ast
from dataclasses import dataclass, replace
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from isotau.convert.ground.representation import MOST_ELEMENTS, short_repr
from isotau.convert.records.lif import Ranges
from isotau.convert.records.spikes import Spikes

LONGEST = 600
SOURCES = Path(__file__).resolve().parents[3]
FOLDERS = ("convert", "targets", "sim", "src/isotau/cli", "src/isotau/jobs")


class Colour(Enum):
    RED = "#f00"


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A record.

    Attributes:
        values: of something that takes
            two lines, in seconds.
        low, high: in volts.
        step: length of a step, in milliseconds; in seconds elsewhere.
        extra: anything.
    """

    values: Any
    low: float = -0.5
    high: float = 1e-12
    step: int = 3
    extra: Any = None

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        raise AssertionError("a size is a whole number")


@short_repr
class Two(NamedTuple):
    probe: Probe
    ranges: Ranges


@pytest.fixture
def probe() -> Probe:
    return Probe(np.array([0.25, np.nan, 0.125]))


def cells(record: Any) -> list[list[str]]:
    """The rows of a record's table, as a browser would read them."""
    rows: list[list[str]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "tr":
                rows.append([])
            if tag in ("td", "th"):
                rows[-1].append("")

        def handle_data(self, data):
            if rows:
                rows[-1][-1] += data

    Parser().feed(record._repr_html_())
    return rows


def test_sizes_units_and_ranges(probe):
    assert repr(probe) == (
        "Probe(n=3, values=[3] 0.125 … 0.25 s, low=-0.5 V, high=1e-12 V, step=3 ms, "
        "extra=None)"
    )


def test_the_table_says_the_same(probe):
    head, *rows = cells(probe)
    assert head == ["field", "type", "value", "range", "unit"]
    assert rows[:3] == [
        ["n", "int", "3", "", ""],
        ["values", "float64", "[3]", "0.125 … 0.25", "s"],
        ["low", "float", "-0.5", "", "V"],
    ]


def test_html_is_escaped(probe):
    record = replace(probe, extra="<script>alert(1)</script>&amp;")
    assert "<script>" not in record._repr_html_()
    assert cells(record)[-1][2] == "'<script>alert(1)</script>&amp;'"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 100, f"'{'x' * 39}…'"),
        (Colour.RED, "RED"),
        ((1, 2), "(1, 2)"),
        (range(9), "9 × int"),
        ({"a": np.zeros(3)}, "1 × ndarray"),
        (torch.zeros(2, 5), "[2 × 5]"),
        (np.float64(0.1), "0.1"),
        (np.zeros(()), "array(0.)"),
        (b"1", "b'1'"),
        (object, "<class 'object'>"),
    ],
)
def test_values(probe, value, shown):
    assert repr(replace(probe, extra=value)).endswith(f", extra={shown})")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.zeros(0), "[0],"),
        (np.full(4, np.nan), "[4],"),
        (np.array(["a"]), "[1],"),
        (np.full(2, 7), "[2] 7 s,"),
        (np.zeros(MOST_ELEMENTS + 1), f"[{MOST_ELEMENTS + 1}],"),
    ],
)
def test_ranges(probe, values, shown):
    assert f"values={shown}" in repr(replace(probe, values=values))


def test_records_within_records(probe, lif_net):
    ranges = Ranges(i_peak=np.ones(2), i_rms=np.ones(2), v_low=np.ones(2))
    assert repr(Two(probe, ranges)) == "Two(probe=Probe(n=3), ranges=Ranges(…))"
    shown = repr(replace(probe, extra=lif_net))
    assert shown.endswith("extra=LIFNetwork(n=20, n_in=2, n_out=2, dt=0.001 s))")


def test_a_record_that_is_half_built_prints():
    assert "values=None" in repr(object.__new__(Probe))


def test_networks_print_short(rate_net, lif_net):
    for net in (rate_net, lif_net):
        assert len(repr(net)) < LONGEST
        assert f"n={net.n}, " in repr(net)
        assert f"dt={net.dt} s" in repr(net)
        assert ["n_in", "int", "2", "", ""] in cells(net)


def test_a_raster_prints_short():
    bits = np.zeros((5000, 30, 25), np.uint8)
    shown = repr(Spikes(bits=bits, n=200, dt=1e-3, engine="norse"))
    assert shown == (
        "Spikes(steps=5000, batch=30, bits=[5000 × 30 × 25], n=200, dt=0.001 s, "
        "engine='norse', network='')"
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_public_record_of_arrays_prints_short(folder):
    for path in (SOURCES / folder).rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            types = [
                ast.unparse(field.annotation)
                for field in node.body
                if isinstance(field, ast.AnnAssign)
            ]
            if any(name.startswith("dataclass") for name in decorators):
                arrays = any("ndarray" in kind or "Tensor" in kind for kind in types)
                assert not arrays or decorators[0] == "short_repr", (path, node.name)
