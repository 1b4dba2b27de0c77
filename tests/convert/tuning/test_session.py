"""A session's network is the given one where nothing trained, in volts."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.storage import same
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantize import NOISE_SD, QuantizeConfig
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.forward.dynamics import NorseLoop
from isotau.convert.tuning.forward.fused import Fused
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.methods.bptt import BPTT
from isotau.convert.tuning.session import Quantization, begin
from isotau.convert.tuning.tune_loop import tune

QUICK = TuneConfig(batch=4, evaluate_trials=4, dtype="float64")


def begun(net, source, quantization=None, **changes):
    config = dataclasses.replace(QUICK, **changes)
    return begin(net, source, Objective(), config, BPTT(), quantization)


def test_the_network_is_the_given_one_to_the_bit(small, signs):
    """Units are powers of two, so the way there and back loses nothing."""
    session = begun(small, signs, width=0.37)
    assert same(session.network(session.parameters()), small)


def test_parameters_put_in_come_out_in_volts(small, signs):
    session = begun(small, signs)
    doubled = {name: 2 * part for name, part in session.parameters().items()}
    net = session.network(doubled)
    np.testing.assert_array_equal(net.w_rec, 2 * small.w_rec)
    np.testing.assert_array_equal(net.w_out, 2 * small.w_out)
    assert same(session.network(session.parameters()), small)


def test_the_dynamics_are_those_asked_for(small, signs):
    assert isinstance(begun(small, signs).learner.dynamics, Fused)
    session = begun(small, signs, dynamics="norse")
    assert isinstance(session.learner.dynamics, NorseLoop)
    assert session.fixed(session.parameters()) is None


def test_the_chips_integers_are_those_of_the_quantizer(small, signs):
    shown = np.ones((200, 4, 1))
    seen = simulate_lif(small, shown, seed=0)
    chosen = Quantization(seen.ranges, 1.0, QuantizeConfig(num_weight_bits=3))
    session = begun(small, signs, chosen)
    assert isinstance(session.learner.dynamics, ChipDynamics)
    fixed = session.fixed(session.parameters())
    assert {block.num_weight_bits for block in fixed.blocks} == {3}


def test_on_the_chip_noise_follows_the_taus_of_its_membranes(small, signs):
    """Its exponents are those that the quantizer gives the network as it is now."""
    seen = simulate_lif(small, np.ones((200, 4, 1)), seed=0)
    chosen = Quantization(seen.ranges, 1.0)
    session = begun(small, signs, chosen, train=("w_rec", "tau_mem"))
    fixed = session.fixed(session.parameters())
    assert fixed.noise_exp.all() and not fixed.current_noise_exp.any()
    sizes = fixed.state_scale * small.noise_per_step / NOISE_SD
    off = np.log2(sizes) + 7 - fixed.noise_exp.astype(float)
    assert np.abs(off).max() <= 0.5


def test_held_out_trials_are_the_same_for_every_session(small, signs):
    one, two = begun(small, signs), begun(small, signs, learning_rate=0.5)
    assert torch.equal(one.held.inputs, two.held.inputs)
    assert one.held.seed == two.held.seed
    first, second = one.draw()[0], one.draw()[0]
    assert first.seed != second.seed != one.held.seed


def test_steps_are_in_typical_sizes(small, signs):
    session = begun(small, signs, learning_rate=0.02)
    for group in session.learner.optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.02 * group["size"])
    for part in session.learner.module.parameters():
        part.grad = torch.ones_like(part)
    before = session.parameters()
    session.learner.apply()
    after = session.parameters()
    for group in session.learner.optimizer.param_groups:
        moved = (before[group["name"]] - after[group["name"]]).abs().max()
        # Adam's first step is the learning rate, whatever the gradient's size
        assert float(moved) == pytest.approx(0.02 * group["size"], rel=1e-3)


BRIEF = TuneConfig(batch=4, updates=2, evaluate_every=2, evaluate_trials=4)


@pytest.fixture
def left(small, signs, tmp_path):
    path = tmp_path / "left.npz"
    tune(small, signs, config=BRIEF, checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seed": 5}, "seed"),
        ({"learning_rate": 0.3}, "learning_rate"),
        ({"train": ("w_rec",)}, "train"),
    ],
)
def test_another_configuration_is_named(small, signs, left, changes, name):
    config = dataclasses.replace(BRIEF, **changes)
    with pytest.raises(ValueError, match=f"got a checkpoint of {name} .*; remove the"):
        tune(small, signs, config=config, checkpoint=left)


def test_another_network_is_named(small, signs, left):
    other = dataclasses.replace(small, noise_std=0.0)
    with pytest.raises(ValueError, match="got a checkpoint of network"):
        tune(other, signs, config=BRIEF, checkpoint=left)


def test_another_objective_is_named(small, signs, left):
    with pytest.raises(ValueError, match="got a checkpoint of objective"):
        tune(
            small,
            signs,
            objective=Objective(task="norm"),
            config=BRIEF,
            checkpoint=left,
        )


def rewritten(path, change):
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


def drop_parameter(arrays):
    del arrays["now.w_rec"]


def other_shape(arrays):
    arrays["now.w_rec"] = np.zeros((3, 3), np.float32)


def no_header(arrays):
    del arrays["header"]


def bad_json(arrays):
    arrays["header"] = np.array("{")


def bad_rng(arrays):
    header = json.loads(str(arrays["header"]))
    header["rng"] = {"bit_generator": "MT"}
    arrays["header"] = np.array(json.dumps(header))


def bad_chance(arrays):
    arrays["chance"] = np.zeros(3, np.uint8)


@pytest.mark.parametrize(
    "change", [drop_parameter, other_shape, no_header, bad_json, bad_rng, bad_chance]
)
def test_damage_is_named(small, signs, left, change):
    rewritten(left, change)
    with pytest.raises(UnreadableFile, match="not a tuning checkpoint"):
        tune(small, signs, config=BRIEF, checkpoint=left)


def test_what_is_no_npz_is_refused(small, signs, tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("hello")
    with pytest.raises(UnreadableFile):
        tune(small, signs, config=BRIEF, checkpoint=path)
