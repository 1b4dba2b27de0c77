"""EventProp as a method: gradients of the very loss, refusals, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import Ranges
from isotau.convert.simulate.trainable import TRAINABLE
from isotau.convert.tuning.learner.learner import Learner, NotFinite
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.autocovariance_loss import AutocovarianceTarget
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.rate_loss import RateTarget
from isotau.convert.tuning.loss.segments import Segments
from isotau.convert.tuning.methods.eventprop import EventProp
from isotau.convert.tuning.session import Quantization, begin

TASK = Objective()
EXACT = TuneConfig(
    train=TRAINABLE,
    dtype="float64",
    batch=3,
    evaluate_trials=2,
    quiet_trials=4,
    clip=None,
)


class Watched(Learner):
    """Keeps the gradients and leaves the module as it is."""

    def apply(self):
        self.gradients = {}
        for name, parameter in self.parameters().items():
            self.gradients[name] = parameter.grad.numpy().copy()
            parameter.grad = None
        return 1.0


def watched(session):
    fields = Learner.__dataclass_fields__
    return Watched(**{name: getattr(session.learner, name) for name in fields})


@pytest.fixture
def session(small, signs):
    """The fixtures' network with a start of its own, spiking in lead and trial."""
    rng = np.random.default_rng(3)
    span = small.v_th - small.v_reset
    net = replace(
        small,
        v_leak=small.v_th + rng.uniform(0.02, 0.4, small.n) * span,
        w_rec=2 * small.w_rec,
        w_out=0.02 * rng.standard_normal((1, small.n)),
    )

    def make(objective=TASK, config=EXACT, **choices):
        usual = {"method": EventProp(shallow=0), "quantization": None}
        return begin(net, signs, objective, config, **(usual | choices))

    return make


def test_gradients_are_differences_of_the_loss(session):
    """Along one random direction for each parameter."""
    at = session()
    learner, batch = watched(at), at.draw()[0]
    assert batch.lead == 10
    at.method.learn(learner, batch, None)
    exact = dict(learner.gradients)
    assert sorted(exact) == sorted(TRAINABLE)
    rng = np.random.default_rng(8)
    for name, parameter in learner.parameters().items():
        clean = parameter.detach().clone()
        way = torch.tensor(rng.standard_normal(clean.shape))
        change = 1e-7 * float(clean.abs().mean() + 1e-2)
        values = []
        for step in (2, 1, -1, -2):
            with torch.no_grad():
                parameter.copy_(clean + step * change * way)
            told = at.method.learn(learner, batch, None)
            values.append(told.losses["task"])
            assert told.losses["total"] == told.losses["task"]
        with torch.no_grad():
            parameter.copy_(clean)
        expected = (8 * (values[1] - values[2]) - (values[0] - values[3])) / (
            12 * change
        )
        assert (exact[name] * way.numpy()).sum() == pytest.approx(expected, rel=1e-5)


def test_what_does_not_train_has_no_gradient(session):
    at = session(config=replace(EXACT, train=("w_in", "b_out")))
    learner = watched(at)
    at.method.learn(learner, at.draw()[0], None)
    assert sorted(learner.gradients) == ["b_out", "w_in"]


def test_the_seed_of_the_noise_does_not_matter(session):
    at = session()
    batch = at.draw()[0]
    assert (at.learner.module.noise_std > 0).all()
    told = [
        at.method.learn(watched(at), batch._replace(seed=seed), None) for seed in (1, 2)
    ]
    assert told[0] == told[1]


def test_segments_cut_gradients_where_observe_does(session):
    """A trial of 120 steps after 10; bins of 50: cuts before steps 10 and 110. Inputs
    before step 110 then have the gradient of the loss before it."""
    told = {}
    for truncate in (0, 51):
        config = replace(EXACT, segments=Segments(truncate=truncate))
        at = session(config=config)
        learner, batch = watched(at), at.draw()[0]
        batch.inputs[110:] = 0
        at.method.learn(learner, batch, None)
        told["whole", truncate] = learner.gradients["w_in"]
        batch.mask[100:] = 0
        at.method.learn(learner, batch, None)
        told["early", truncate] = learner.gradients["w_in"] * (40 / 60)
    np.testing.assert_allclose(told["whole", 51], told["early", 51], rtol=1e-9)
    assert np.abs(told["whole", 0] - told["whole", 51]).max() > 0


def test_no_gradient_enters_the_lead_of_a_cut_trial(session):
    config = replace(EXACT, segments=Segments(truncate=50))
    for truncated, has_any in ((config, False), (EXACT, True)):
        at = session(config=truncated)
        learner, batch = watched(at), at.draw()[0]
        batch.inputs[:10] = 1
        batch.inputs[10:] = 0
        at.method.learn(learner, batch, None)
        assert learner.gradients["w_in"].any() == has_any


def test_weight_noise_moves_the_gradient_and_leaves_the_weights(session):
    gradients = []
    for noise in (0.0, 0.05):
        at = session(config=replace(EXACT, weight_noise=noise))
        learner = watched(at)
        before = at.parameters()
        at.method.learn(learner, at.draw()[0], None)
        for name, value in at.parameters().items():
            assert torch.equal(value, before[name])
        gradients.append(learner.gradients["w_rec"])
    assert (gradients[0] != gradients[1]).any()


def test_it_learns(session):
    config = TuneConfig(batch=16, evaluate_trials=2, learning_rate=0.02)
    at = session(config=config, method=EventProp())
    assert at.method.state() == {}
    at.method.restore({})
    losses = []
    for _ in range(40):
        told = at.method.learn(at.learner, at.draw()[0], None)
        assert np.isfinite(told.gradient)
        losses.append(told.losses["task"])
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])


def no_gradient(n):
    """Targets that have no gradient by the times of spikes, and why."""
    curves = AutocovarianceTarget(
        covariance=np.ones((2, n)),
        lags=[0.0, 0.01],
        interval=0.01,
        volts=np.ones(n),
        reliability=np.ones(n),
    )
    return {
        "rates": (RateTarget(rates=np.full(n, 10.0)), "as numbers of spikes"),
        "timescales": (curves, "as without noise"),
    }


@pytest.mark.parametrize("name", ["rates", "timescales"])
def test_what_has_no_gradient_is_refused(session, small, name):
    at = session()
    target, why = no_gradient(small.n)[name]
    at.learner.objective = Objective(**{name: target})
    with pytest.raises(ValueError, match=f"{name}: got a target, need none, {why}"):
        at.method.learn(at.learner, at.draw()[0], None)


def test_trials_for_the_timescales_are_refused(session):
    at = session()
    batch = at.draw()[0]
    with pytest.raises(ValueError, match="timescales: got a target, need none"):
        at.method.learn(at.learner, batch, batch)


def test_the_chip_is_refused(session, small):
    volts = np.full(small.n, 0.05)
    chip = Quantization(Ranges(i_peak=volts, i_rms=volts, v_low=volts), 1.0)
    config = replace(EXACT, train=("w_in", "w_rec"))
    at = session(config=config, quantization=chip)
    with pytest.raises(ValueError, match="dynamics: got the chip's arithmetic, need"):
        at.method.learn(at.learner, at.draw()[0], None)


def test_other_devices_are_refused(session):
    at = session()
    batch = at.draw()[0]
    at.learner.module.to("meta")
    with pytest.raises(ValueError, match="device: got meta, need cpu"):
        at.method.learn(at.learner, batch, None)


def test_a_loss_that_is_no_number_is_told(session):
    at = session()
    batch = at.draw()[0]
    batch.targets[70] = torch.nan
    with pytest.raises(NotFinite, match="loss: got nan for task, need a finite number"):
        at.method.learn(at.learner, batch, None)


def test_a_negative_slope_is_refused():
    with pytest.raises(
        ValueError, match=r"shallow: got -1\.0, need numbers of at least"
    ):
        EventProp(shallow=-1.0)
