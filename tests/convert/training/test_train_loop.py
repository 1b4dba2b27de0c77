import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from isotau.convert.records.storage import same
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.training import TrainConfig, train, train_many
from isotau.sim.tasks import GO_NOGO, RDM

SMALL = TrainConfig(
    n=40,
    p_rec=0.5,
    inhibition=4.0,
    training_noise_std=0.1,
    clip=1.0,
    max_iterations=400,
    min_trials=0,
)


@pytest.mark.slow
def test_small_networks_learn_go_nogo_from_chance() -> None:
    found = train_many(GO_NOGO.draw, GO_NOGO.score_strict, SMALL, seeds=[0, 1, 2])
    for trained in found:
        assert trained.converged
        assert min(e.accuracy for e in trained.evaluations[:3]) < 0.8
        assert trained.losses[-1] < 0.5 * trained.losses[0]
        net, rng = trained.net, np.random.default_rng(1)
        trials = GO_NOGO.draw(200, rng)
        outputs = simulate_rate(net, trials.inputs, seed=0).outputs
        assert GO_NOGO.score(outputs, trials).mean() >= 0.98
        assert not (net.w_rec * net.dale < 0).any()
        assert 0.020 < net.tau.min() < net.tau.max() < 0.100


@pytest.mark.slow
def test_a_network_learns_with_the_lif_neurons_own_curve() -> None:
    config = dataclasses.replace(SMALL, activation="lif")
    trained = train(GO_NOGO.draw, GO_NOGO.score_strict, config, seed=0)
    assert trained.converged and trained.net.activation == "lif"


@pytest.mark.slow
def test_low_rank_networks_learn_to_decide() -> None:
    config = TrainConfig(
        n=200,
        p_inh=None,
        rank=1,
        activation="tanh",
        tau_min=0.1,
        tau_max=0.1,
        noise_std=0.05,
        training_noise_std=0.05,
        w_out_std=4 / 200,
        train_inputs="gains",
        train_outputs="gains",
        loss="mse",
        clip=1.0,
        max_iterations=300,
        evaluate_every=10,
        min_trials=0,
        stop_loss=0.1,
        stop_accuracy=0.95,
    )
    for trained in train_many(RDM.draw, RDM.score_strict, config, seeds=[0, 1]):
        assert trained.converged and trained.net.rank == 1
        rng = np.random.default_rng(1)
        trials = RDM.draw(200, rng)
        outputs = simulate_rate(trained.net, trials.inputs, seed=0).outputs
        assert RDM.score(outputs, trials).mean() >= 0.95


def test_the_seed_decides_everything(few: Any, after: Any) -> None:
    (first,), (again,), (other,) = after(few()), after(few()), after(few(), (1,))
    assert same(first.net, again.net) and not same(first.net, other.net)
    assert first.losses.tolist() == again.losses.tolist()
    assert [e.iteration for e in first.evaluations] == [3, 6]
    assert first.status == "exhausted"


def test_a_network_is_the_same_in_company(few: Any, after: Any) -> None:
    together = after(few(), (0, 1, 2, 3, 4))
    for k, (alone,) in enumerate(after(few(), (seed,)) for seed in range(5)):
        assert together[k].losses == pytest.approx(alone.losses, rel=1e-4)
        assert together[k].net.w_rec == pytest.approx(alone.net.w_rec, abs=1e-4)
        assert np.array_equal(together[k].net.w_in, alone.net.w_in)


def test_threads_change_nothing(few: Any) -> None:
    one, three = (
        train_many(
            GO_NOGO.draw, GO_NOGO.score, few(), seeds=[1, 2, 3, 4], workers=workers
        )
        for workers in (1, 3)
    )
    for a, b in zip(one, three, strict=True):
        assert a.losses == pytest.approx(b.losses, rel=1e-4)


def test_torch_gets_its_threads_back(few: Any, after: Any) -> None:
    threads = torch.get_num_threads()
    after(few(max_iterations=1))
    assert torch.get_num_threads() == threads


def test_signs_and_missing_connections_outlast_training(few: Any, after: Any) -> None:
    (trained,) = after(few(learning_rate=0.1))
    (start,) = after(few(max_iterations=0))
    assert np.array_equal(start.net.dale, trained.net.dale)
    assert np.array_equal(start.net.w_in, trained.net.w_in)
    assert not ((start.net.w_rec == 0) & (trained.net.w_rec != 0)).any()
    assert not (trained.net.w_rec * trained.net.dale < 0).any()
    for changing in ("w_rec", "w_out", "b_out", "tau"):
        assert not np.array_equal(
            getattr(start.net, changing), getattr(trained.net, changing)
        )


def test_gains_move_whole_channels(few: Any, after: Any) -> None:
    wanted = few(rank=1, p_inh=None, train_inputs="gains", train_outputs="gains")
    (trained,) = after(wanted)
    (start,) = after(dataclasses.replace(wanted, max_iterations=0))
    for name in ("w_in", "w_out"):
        ratio = getattr(trained.net, name) / getattr(start.net, name)
        assert ratio.std() < 1e-5 and abs(ratio.mean() - 1) > 1e-3


def test_equal_ends_fix_tau(few: Any, after: Any) -> None:
    (trained,) = after(few(tau_min=0.035, tau_max=0.035))
    assert trained.net.tau == pytest.approx(np.full(20, 0.035))


def test_training_stops_only_when_enough_evaluations_in_a_row_pass(
    few: Any, after: Any
) -> None:
    easy: dict[str, Any] = {
        "max_iterations": 30,
        "stop_loss": 1e9,
        "stop_accuracy": 0.0,
        "min_trials": 0,
    }
    assert after(few(**easy, stop_after=2))[0].losses.size == 6
    assert after(few(**easy, stop_after=4))[0].converged
    assert after(few(**(easy | {"min_trials": 40})))[0].losses.size == 12
    (unmet,) = after(few(**(easy | {"stop_accuracy": 1.0})))
    assert unmet.losses.size == 30 and not unmet.converged


def test_nothing_trained_has_not_converged(few: Any, after: Any) -> None:
    (trained,) = after(few(max_iterations=0))
    assert trained.losses.size == 0 and not trained.converged


def test_training_goes_on_from_given_networks(few: Any, after: Any) -> None:
    first = after(few(), (0, 1))
    second = after(
        few(learning_rate=1e-6), (5, 6), start=[trained.net for trained in first]
    )
    for before, later in zip(first, second, strict=True):
        assert later.net.w_rec == pytest.approx(before.net.w_rec, abs=1e-4)
        assert later.net.tau == pytest.approx(before.net.tau, rel=1e-4)
        assert not same(before.net, later.net)


def test_training_can_be_ended_early(few: Any, after: Any) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(0)
        return len(asked) > 2

    (trained,) = after(few(), stop=stop)
    assert trained.losses.size == 2 and trained.status == "stopped"


@pytest.mark.parametrize("at", [1, 4, 5])
def test_an_interrupted_training_ends_with_the_same_bits(
    at: int, few: Any, after: Any, tmp_path: Path
) -> None:
    calls: list[int] = []

    def interrupting(batch: int, rng: np.random.Generator) -> Any:
        calls.append(batch)
        if len(calls) == 2 * at + 4:  # between the draws of two networks
            raise KeyboardInterrupt
        return GO_NOGO.draw(batch, rng)

    path = tmp_path / "state.npz"
    config, more = few(max_iterations=8), {"seeds": [1, 2], "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        train_many(interrupting, GO_NOGO.score_strict, config, checkpoint=path, **more)
    assert path.exists()
    resumed = after(config, (1, 2), checkpoint=path)
    straight = after(config, (1, 2))
    for a, b in zip(resumed, straight, strict=True):
        assert same(a.net, b.net)
        assert a.losses.tolist() == b.losses.tolist()
        assert a.evaluations == b.evaluations and a.status == b.status


def test_what_is_finished_is_not_done_again(
    few: Any, after: Any, tmp_path: Path
) -> None:
    path = tmp_path / "state.npz"
    (first,) = after(few(), checkpoint=path)
    (again,) = after(few(), checkpoint=path, stop=lambda: pytest.fail("an update"))
    assert same(first.net, again.net) and again.status == "exhausted"


def test_one_network_takes_the_same_options(
    few: Any, after: Any, tmp_path: Path
) -> None:
    (first,) = after(few())
    one = train(
        GO_NOGO.draw,
        GO_NOGO.score_strict,
        few(),
        seed=9,
        start=first.net,
        checkpoint=tmp_path / "one.npz",
        stop=lambda: False,
    )
    assert one.losses.size == 6 and (tmp_path / "one.npz").exists()


def test_bad_seeds_and_workers_are_refused(few: Any, after: Any) -> None:
    with pytest.raises(ValueError, match="seeds: got none, need one for each"):
        after(few(), ())
    with pytest.raises(ValueError, match="seeds: got -1, need 0 to"):
        after(few(), (-1,))
    with pytest.raises(ValueError, match="workers: got -2, need 1 to"):
        train_many(GO_NOGO.draw, GO_NOGO.score, few(), seeds=[0], workers=-2)
