"""Tuning as a whole: it learns, stops, resumes, and keeps what it must keep."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from isotau.convert.records.storage import same
from isotau.convert.tuning.learner.tune_config import METHODS, TuneConfig
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.rate_loss import RateTarget
from isotau.convert.tuning.methods.bptt import BPTT
from isotau.convert.tuning.methods.eprop import EProp
from isotau.convert.tuning.methods.eventprop import EventProp
from isotau.convert.tuning.methods.fptt import FPTT
from isotau.convert.tuning.tune_loop import METHOD_OF, tune

QUICK = TuneConfig(
    batch=8, updates=12, evaluate_every=4, evaluate_trials=32, learning_rate=0.05
)


def curves(tuned):
    return [told["total"] for told in tuned.losses]


def test_it_learns(small, signs):
    config = dataclasses.replace(QUICK, updates=60, batch=16)
    tuned = tune(small, signs, config=config)
    first = tuned.evaluations[0]
    assert tuned.best.losses["total"] < 0.6 * first.losses["total"]
    assert tuned.best.accuracy >= max(0.9, first.accuracy)
    assert tuned.status == "exhausted"
    assert [e.update for e in tuned.evaluations] == list(range(0, 61, 4))


def test_signs_and_absent_synapses_are_kept(small, signs):
    tuned = tune(small, signs, config=QUICK)
    assert not same(tuned.network, small)
    after = tuned.network.w_rec
    assert (after[small.w_rec == 0] == 0).all()
    assert (after * np.sign(small.w_rec) >= 0).all()


def test_what_does_not_train_is_left_to_the_bit(small, signs):
    config = dataclasses.replace(QUICK, train=("w_rec", "tau_syn"))
    tuned = tune(small, signs, config=config).network
    for name in ("w_in", "w_out", "b_out", "v_th", "v_leak", "tau_mem", "f0", "i0"):
        np.testing.assert_array_equal(getattr(tuned, name), getattr(small, name))
    assert (tuned.tau_syn != small.tau_syn).any()


def test_the_same_call_gives_the_same_bits(small, signs):
    one, two = (tune(small, signs, config=QUICK) for _ in range(2))
    assert same(one.network, two.network) and curves(one) == curves(two)
    other = tune(small, signs, config=dataclasses.replace(QUICK, seed=1))
    assert not same(one.network, other.network)


@pytest.mark.parametrize("method", ["bptt", "fptt", "eprop"])
def test_an_interrupted_tuning_ends_with_the_same_bits(small, signs, tmp_path, method):
    config = dataclasses.replace(QUICK, method=method, weight_noise=0.02)
    whole = tune(small, signs, config=config)
    path, calls = tmp_path / "part.npz", []

    def stop():
        calls.append(1)
        return len(calls) > 6

    part = tune(small, signs, config=config, checkpoint=path, stop=stop)
    assert part.status == "stopped" and len(part.losses) == 6
    done = tune(small, signs, config=config, checkpoint=path)
    assert curves(done) == curves(whole)
    assert same(done.network, whole.network)
    assert done.evaluations == whole.evaluations


def test_a_keyboard_interrupt_leaves_a_checkpoint_to_go_on_from(small, signs, tmp_path):
    path = tmp_path / "cut.npz"

    def cut(steps, what):
        for step in steps:
            if step == 5:
                raise KeyboardInterrupt
            yield step

    with pytest.raises(KeyboardInterrupt):
        tune(small, signs, config=QUICK, checkpoint=path, progress=cut)
    done = tune(small, signs, config=QUICK, checkpoint=path)
    assert curves(done) == curves(tune(small, signs, config=QUICK))


def test_tuning_that_is_done_can_go_on_further(small, signs, tmp_path):
    path = tmp_path / "more.npz"
    tune(small, signs, config=QUICK, checkpoint=path)
    longer = dataclasses.replace(QUICK, updates=20)
    done = tune(small, signs, config=longer, checkpoint=path)
    assert curves(done) == curves(tune(small, signs, config=longer))


def test_it_stops_at_the_accuracy_asked_for(small, signs):
    config = dataclasses.replace(QUICK, stop_accuracy=0.0)
    tuned = tune(small, signs, config=config)
    assert tuned.status == "converged" and tuned.losses == ()
    assert same(tuned.network, small)


def test_it_settles_when_patience_runs_out(small, signs):
    config = dataclasses.replace(
        QUICK, updates=100, patience=2, learning_rate=1e-9, evaluate_every=1
    )
    tuned = tune(small, signs, config=config)
    assert tuned.status == "settled"
    assert len(tuned.losses) - tuned.best.update == 2


def test_the_network_kept_is_never_worse_than_the_first(small, signs):
    config = dataclasses.replace(QUICK, learning_rate=3.0)
    tuned = tune(small, signs, config=config)
    assert tuned.best.accuracy >= tuned.evaluations[0].accuracy


def test_a_loss_that_is_no_number_stops_and_keeps_the_best(small, signs, tmp_path):
    """From the fifth draw on the targets are beyond float32's squares."""
    path, calls = tmp_path / "nan.npz", []

    def draw(batch, rng):
        trials = signs.draw(batch, rng)
        calls.append(1)
        if len(calls) < 6:  # the first is of the held-out trials
            return trials
        return dataclasses.replace(trials, targets=1e30 * trials.targets)

    tuned = tune(
        small,
        dataclasses.replace(signs, draw=draw),
        config=dataclasses.replace(QUICK, evaluate_every=2),
        checkpoint=path,
    )
    assert tuned.status == "failed"
    assert re.match("update 5: loss: got (inf|nan) for task, need", tuned.problem)
    assert len(tuned.losses) == 4 and path.exists()
    assert tuned.best in tuned.evaluations


def test_task_of_another_shape_is_refused(small, signs):
    def draw(batch, rng):
        trials = signs.draw(batch, rng)
        return dataclasses.replace(trials, inputs=np.repeat(trials.inputs, 2, axis=2))

    wrong = dataclasses.replace(signs, draw=draw)
    with pytest.raises(ValueError, match="trials: got 2 input channels and 1 outputs"):
        tune(small, wrong, config=QUICK)


def test_coarse_updates_move_weights_by_whole_steps(small, signs):
    """Levels of the largest weight; biases are not rounded."""
    config = dataclasses.replace(
        QUICK, train=("w_out",), update_levels=16, updates=4, dtype="float64"
    )
    moved = tune(small, signs, config=config).network.w_out - small.w_out
    steps = moved / (np.abs(small.w_out).max() / 16)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert (np.rint(steps) != 0).any()


def test_the_learning_rate_falls_as_asked_for(small, signs):
    """With halving at every update the weights move by less than twice the first."""
    config = dataclasses.replace(
        QUICK, train=("w_out",), halve_every=1, updates=8, evaluate_every=8
    )
    moved = np.abs(tune(small, signs, config=config).network.w_out - small.w_out)
    size = np.sqrt((small.w_out**2).mean())
    assert 0 < moved.max() < 2 * 0.05 * size * 1.05
    steady = dataclasses.replace(config, halve_every=0)
    further = np.abs(tune(small, signs, config=steady).network.w_out - small.w_out)
    assert further.max() > 1.5 * moved.max()


def test_norse_and_fused_agree(small, signs):
    """In float64 the fused pass gives the loop's curve, up to rounding."""
    exact = dataclasses.replace(QUICK, dtype="float64", updates=4, evaluate_every=4)
    fused, norse = (
        tune(small, signs, config=dataclasses.replace(exact, dynamics=name))
        for name in ("fused", "norse")
    )
    np.testing.assert_allclose(curves(fused), curves(norse), rtol=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_it_learns_on_cuda(small, signs):
    config = dataclasses.replace(QUICK, device="cuda", updates=20)
    tuned = tune(small, signs, config=config)
    assert tuned.best.losses["total"] < tuned.evaluations[0].losses["total"]


def test_fused_is_refused_where_it_does_not_apply(small, signs):
    if not torch.cuda.is_available():
        pytest.skip("needs a device other than the CPU")
    config = dataclasses.replace(QUICK, device="cuda", dynamics="fused")
    with pytest.raises(ValueError, match="dynamics: got 'fused' on cuda"):
        tune(small, signs, config=config)


def test_rates_alone_can_be_asked_for(small, signs):
    """Without a task the loss is that of the rates, and it falls."""
    wanted = RateTarget(rates=40.0, weight=1.0)
    tuned = tune(
        small,
        signs,
        objective=Objective(task="none", rates=wanted),
        config=dataclasses.replace(
            QUICK, updates=30, train=("v_leak",), learning_rate=0.01
        ),
    )
    told = [now.losses["rates"] for now in tuned.evaluations]
    assert told[-1] < 0.8 * told[0], told


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bptt", BPTT), ("eprop", EProp), ("eventprop", EventProp), ("fptt", FPTT)],
)
def test_a_name_stands_for_its_method(name, kind):
    assert set(METHOD_OF) == set(METHODS) and METHOD_OF[name] is kind
    method, other = kind(), kind()
    other.restore(method.state())
    assert set(other.state()) == set(method.state())
