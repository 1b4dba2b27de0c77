import numpy as np
import pytest
import torch

from isotau.convert.records.trials import Trials, subset
from isotau.convert.training import TrainConfig
from isotau.convert.training.update import StackedTrials, as_batch, task_loss
from isotau.sim.tasks import GO_NOGO


def cut(trials: Trials, steps: int) -> Trials:
    return Trials(
        inputs=trials.inputs[:steps],
        targets=trials.targets[:steps],
        mask=trials.mask[:steps],
        labels=trials.labels,
        dt=trials.dt,
        task=trials.task,
    )


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def both(config: TrainConfig) -> tuple[StackedTrials, tuple[Trials, Trials]]:
    trials = GO_NOGO.draw(8, np.random.default_rng(0))
    short = cut(trials, 150)
    x0 = torch.tensor([[0.0], [5.0]]).repeat(1, config.n)
    return as_batch([short, trials], generators(1, 2), x0, config), (short, trials)


def test_shorter_trials_are_padded_and_do_not_count() -> None:
    batch, (short, trials) = both(TrainConfig(n=10))
    assert batch.trace.shape == (201, 2, 8, 10)
    assert batch.inputs[:, 1, :, 0].numpy() == pytest.approx(trials.inputs[:, :, 0])
    assert batch.targets[:150, 0].numpy() == pytest.approx(short.targets)
    assert (batch.inputs[..., 1] == 1).all()
    for part in (
        batch.inputs[150:, 0, :, 0],
        batch.mask[150:, 0],
        batch.trace[151:, 0],
    ):
        assert not part.any()


def test_noise_has_the_asked_deviation_and_x0_the_given_mean() -> None:
    config = TrainConfig(n=200, training_noise_std=0.25, x0_std=0.5)
    batch, _ = both(config)
    assert batch.trace[1:, 1].std() == pytest.approx(0.25, rel=0.01)
    assert batch.trace[0].mean(dim=(1, 2)).tolist() == pytest.approx([0, 5], abs=0.05)
    assert batch.trace[0, 0].std() == pytest.approx(0.5, rel=0.05)


def test_noise_can_be_off_and_comes_from_each_network_alone() -> None:
    config = TrainConfig(n=10)
    trials = GO_NOGO.draw(4, np.random.default_rng(0))
    x0 = torch.zeros(2, 10)
    quiet = as_batch([trials] * 2, generators(1, 2), x0, config, 0.0)
    assert not quiet.trace[1:].any() and quiet.trace[0].any()
    pair = as_batch([trials] * 2, generators(1, 2), x0, config)
    alone = as_batch([trials], generators(2), x0[:1], config)
    assert torch.equal(pair.trace[:, 1], alone.trace[:, 0])
    assert not torch.equal(pair.trace[:, 0], alone.trace[:, 0])


@pytest.mark.parametrize("loss", ["norm", "mse"])
def test_losses_are_those_of_a_loop_over_trials(loss: str) -> None:
    rng = np.random.default_rng(3)
    steps, size, n_out = 12, 5, 2
    targets = rng.standard_normal((steps, 2, size, n_out))
    mask = rng.random((steps, 2, size)) < 0.6
    outputs = rng.standard_normal(targets.shape)
    empty = torch.zeros(0)
    batch = StackedTrials(
        empty, empty, torch.tensor(targets), torch.tensor(mask).double()
    )
    config = TrainConfig(loss=loss)
    found = task_loss(torch.tensor(outputs), batch, config)
    for k in range(2):
        if loss == "norm":
            per_trial = [
                np.linalg.norm((outputs - targets)[mask[:, k, b], k, b])
                for b in range(size)
            ]
        else:
            per_trial = ((outputs - targets)[:, k][mask[:, k]] ** 2).ravel()
        assert float(found[k]) == pytest.approx(np.mean(per_trial))


def test_a_slice_of_trials_gives_a_slice_of_the_loss() -> None:
    batch, (_, trials) = both(TrainConfig(n=10))
    config = TrainConfig(n=10)
    outputs = torch.rand(200, 1, 8, 1)
    losses = []
    for some in (slice(0, 4), slice(4, 8)):
        part = as_batch(
            [subset(trials, some)], generators(0), torch.zeros(1, 10), config
        )
        losses.append(float(task_loss(outputs[:, :, some], part, config)))
    whole = StackedTrials(*(part[:, 1:] for part in batch))
    assert float(task_loss(outputs, whole, config)) == pytest.approx(np.mean(losses))
