"""What CONTRIBUTING.md says of adding parts works as it is written there."""

import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import isotau
from isotau.convert.read import kinds
from isotau.sim.engines.engine import ENGINES, engine_named
from isotau.sim.tasks import TASKS
from isotau.sim.timescales.estimators.estimator import ESTIMATORS
from isotau.targets.export import EXPORTERS, Request, export

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
BLOCKS = dict(
    re.findall(
        r"^### … an? (\w+).*?^```python\n(.*?)^```", PAGE.read_text(), re.S | re.M
    )
)
TABLES = (ENGINES, TASKS, ESTIMATORS, EXPORTERS)


@pytest.fixture
def added(request, monkeypatch):
    """Return the module of a block, whose rows are gone afterwards."""
    before = [dict(table) for table in TABLES]
    module = types.ModuleType(f"added_{request.node.name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def add(kind: str) -> types.ModuleType:
        exec(compile(BLOCKS[kind], f"{PAGE.name}: {kind}", "exec"), module.__dict__)
        return module

    yield add
    for table, rows in zip(TABLES, before, strict=True):
        table.clear()
        table.update(rows)


def test_every_kind_is_there():
    assert set(BLOCKS) == {"estimator", "task", "reader", "exporter", "engine"}


def test_an_estimator(added):
    added("estimator")
    rng = np.random.default_rng(0)
    values = np.zeros((100, 200, 3))
    for t in range(1, 100):
        values[t] = 0.8 * values[t - 1] + rng.normal(size=(200, 3))
    signal = isotau.sim.timescales.from_signal(values, 0.05)
    found = ESTIMATORS["short_lags"](signal)
    assert found.method.startswith("short_lags")
    np.testing.assert_allclose(found.tau, -0.05 / np.log(0.8), rtol=0.15)


def test_a_task(added):
    added("task")
    trials = TASKS["sign"].draw(6, np.random.default_rng(0))
    assert TASKS["sign"].score(trials.targets, trials).all()
    assert isotau.RunConfig(task="sign").task == "sign"


def test_a_reader(added, tmp_path):
    module = added("reader")
    lists = {"w_rec": [[0.1, 0.2], [0.3, 0.4]], "w_in": [[1], [2]], "w_out": [[1, 1]]}
    path = tmp_path / "net.json"
    path.write_text(json.dumps(lists))
    read = kinds.read_file(path, (*kinds.READERS, module.READER), dt=0.02)
    assert read.conventions.family == "JSON of lists"
    assert (read.net.n, read.net.dt) == (2, 0.02)


def test_an_exporter(added, tmp_path, conformance_net):
    added("exporter")
    request = Request(network=Path("net.fixed.npz"), out=tmp_path / "net.json")
    findings, path = export(conformance_net, "lists", request)
    assert json.loads(path.read_text())["vth"] == conformance_net.vth.tolist()
    assert [finding.place for finding in findings] == ["noise"]


def test_an_engine(added, conformance_net):
    added("engine")
    sent = np.zeros((5, 2, conformance_net.n_in), dtype=np.int64)
    ours = engine_named("one by one")(conformance_net, sent)
    theirs = engine_named("reference")(conformance_net, sent)
    np.testing.assert_array_equal(ours.spikes.bits, theirs.spikes.bits)


@pytest.fixture
def conformance_net():
    """A random fixed-point network with noise."""
    from benchmarks.engine.random_networks import conformance_case

    for number in range(100):
        net, _, _ = conformance_case(number, 5)
        if net.noise_exp is not None:
            return net
    raise AssertionError("no network has noise")
