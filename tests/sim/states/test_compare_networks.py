"""Networks compared as they are: of any kind, in any epoch, by anything watched."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from isotau.convert.records import storage
from isotau.convert.records.rate import RateRNN
from isotau.jobs.pipeline import convert_for
from isotau.jobs.run_config import RunConfig
from isotau.sim.states import Outcome, StateBudget, compare
from isotau.sim.tasks import TASKS

SHORT = StateBudget(seconds=60, trials=80)


@pytest.fixture(scope="module")
def converted():
    rng = np.random.default_rng(0)
    n = 16
    net = RateRNN(
        w_rec=rng.standard_normal((n, n)) / np.sqrt(n) * 0.3,
        w_in=rng.standard_normal((n, 1)),
        w_out=rng.standard_normal((1, n)),
        bias=0.1 * rng.standard_normal(n),
        b_out=[0.0],
        tau=rng.uniform(0.03, 0.06, n),
        dale=np.zeros(n),
        activation="tanh",
        noise_std=0.1,
        dt=0.005,
    )
    config = RunConfig(task="go-nogo", trials=6, search_trials=12, lava_trials=1)
    return convert_for(net, config)


def test_the_python_of_the_docs_runs(converted, tmp_path, monkeypatch, capsys):
    docs = Path(__file__).resolve().parents[3] / "docs/timescales.md"
    blocks = re.findall(r"```py\n(.*?)```", docs.read_text(encoding="utf-8"), re.S)
    (code,) = (block for block in blocks if "isotau.compare(" in block)
    storage.save(converted.conversion.network, tmp_path / "net.lif.npz")
    storage.save(converted.prepared.fixed, tmp_path / "net.fixed.npz")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/timescales.md", "exec"), {})
    assert "from LIF to chip" in capsys.readouterr().out


def slower(net, factor):
    return dataclasses.replace(net, tau=factor * net.tau)


def test_a_network_keeps_what_it_has(converted):
    rate = converted.rate
    found = compare(rate, rate, budget=SHORT)
    assert (found.a, found.b) == ("rate a", "rate b")
    assert found.decision.outcome is not Outcome.NOT_PRESERVED
    assert found.pair.network.ends(0.005)[0] < 0 < found.pair.network.ends(0.005)[1]
    lost = compare(rate, slower(rate, 1.5), budget=SHORT)
    assert lost.decision.outcome is Outcome.NOT_PRESERVED
    assert lost.decision.ratio == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize(
    ("observable", "n"), [("state", 16), ("rate", 16), ("output", 1)]
)
def test_the_chip_is_beside_the_neurons(converted, observable, n):
    found = compare(
        converted.conversion.network,
        converted.prepared.fixed,
        observable=observable,
        budget=StateBudget(seconds=60, trials=40),
    )
    assert (found.a, found.b) == ("lif", "fixed")
    assert len(found.pair.both) == n and found.pair.both.all()
    assert found.decision.ratio == pytest.approx(1, abs=0.1)


def test_a_part_of_the_task_is_watched(converted):
    found = compare(
        converted.rate,
        converted.conversion.network,
        epoch="after",
        task="go-nogo",
        budget=StateBudget(seconds=60, trials=40),
    )
    assert found.pair.both.mean() > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": "delay"}, "task: got none, need the task whose delay is watched"),
        ({"task": "sleep"}, "task: got 'sleep', need one of go-nogo"),
        ({"task": "mante"}, "need 4 inputs, 1 output for mante"),
        (
            {"task": TASKS["go-nogo"], "epoch": "delay"},
            "need one of a task with a delay",
        ),
        ({"observable": "kappa"}, "got kappa for a network without factors"),
    ],
)
def test_what_does_not_fit_is_refused(converted, options, message):
    with pytest.raises(ValueError, match=message):
        compare(converted.rate, converted.conversion.network, **options)
