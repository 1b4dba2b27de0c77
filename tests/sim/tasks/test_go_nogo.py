from pathlib import Path

import numpy as np
import pytest

from isotau.convert.read.read_spikernn import read_spikernn
from isotau.convert.records.trials import Trials, refine
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.sim.tasks.go_nogo import draw, score, score_strict

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "examples/data/go_nogo_N200.mat"
FOREIGN = ROOT / "../shared/data/spikernn_gonogo_N200.mat"


def trials_of(labels: list[int]) -> Trials:
    """Return trials with these labels, found by drawing one at a time."""
    rng = np.random.default_rng(0)
    chosen = []
    for label in labels:
        while (one := draw(1, rng)).labels[0] != label:
            pass
        chosen.append(one)
    return Trials(
        inputs=np.concatenate([t.inputs for t in chosen], axis=1),
        targets=np.concatenate([t.targets for t in chosen], axis=1),
        mask=np.concatenate([t.mask for t in chosen], axis=1),
        labels=np.array(labels),
        dt=chosen[0].dt,
        task=chosen[0].task,
    )


def test_timing_is_the_published_one() -> None:
    trials = draw(50, np.random.default_rng(1))
    time = np.arange(trials.steps) * trials.dt
    assert trials.steps * trials.dt == pytest.approx(1.0)
    for k in range(trials.batch):
        go = trials.labels[k] == 1
        pulse = (time > 0.2499) & (time < 0.3749)
        assert np.array_equal(trials.inputs[:, k, 0], pulse * go)
        assert np.array_equal(trials.targets[:, k, 0], (time > 0.3749) * go)
    assert trials.mask.all()


def test_half_of_the_trials_are_go_and_the_generator_decides() -> None:
    labels = draw(4000, np.random.default_rng(2)).labels
    assert abs(labels.mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
    assert np.array_equal(labels, draw(4000, np.random.default_rng(2)).labels)
    assert not np.array_equal(labels, draw(4000, np.random.default_rng(3)).labels)


def test_no_trials_are_refused() -> None:
    with pytest.raises(ValueError, match=r"batch: got 0, need 1 to"):
        draw(0, np.random.default_rng(0))


@pytest.mark.parametrize("factor", [1, 5, 100])
@pytest.mark.parametrize(
    ("label", "at", "value", "lenient", "strict"),
    [
        (1, 0.9, 0.71, True, True),
        (1, 0.9, 0.69, False, False),
        (1, 0.495, 0.9, False, True),
        (1, 0.500, 0.9, True, True),
        (1, 0.370, 0.9, False, False),
        (1, 0.375, 0.9, False, True),
        (0, 0.9, 0.29, True, True),
        (0, 0.9, 0.31, False, False),
        (0, 0.9, -0.31, True, False),
        (0, 0.495, 0.9, True, False),
        (0, 0.370, 0.9, True, True),
    ],
)
def test_scores_are_the_published_rules_at_any_step(
    factor: int, label: int, at: float, value: float, lenient: bool, strict: bool
) -> None:
    trials = refine(trials_of([label]), 0.005 / factor)
    outputs = np.zeros((trials.steps, 1, 1))
    outputs[round(at / trials.dt)] = value
    assert score(outputs, trials).tolist() == [lenient]
    assert score_strict(outputs, trials).tolist() == [strict]


def test_the_target_itself_is_right() -> None:
    trials = trials_of([0, 1, 1, 0])
    assert score(trials.targets, trials).all()
    assert score_strict(trials.targets, trials).all()
    assert not score(1 - trials.targets, trials).any()


@pytest.mark.parametrize("path", [SHIPPED, FOREIGN], ids=["shipped", "foreign"])
def test_trained_networks_solve_the_task(path: Path) -> None:
    if not path.exists():
        pytest.skip("the network is not here")
    net, rng = read_spikernn(path).net, np.random.default_rng(4)
    trials = draw(400, rng)
    outputs = simulate_rate(net, trials.inputs, seed=0).outputs
    assert score(outputs, trials).mean() >= 0.99
    assert score_strict(outputs, trials).mean() >= 0.99
