"""The recursion on tapes written by hand, against sums done by hand."""

import numpy as np
import pytest
import torch

from isotau.convert.simulate.vectors.vector_lif import RESTED, SPIKED
from isotau.convert.tuning.forward.tape import (
    WANTED,
    SampleGradients,
    StateGradients,
    StepCoefficients,
    Tape,
    backward,
    over_trials,
)

EVERYTHING = frozenset(WANTED)
W = [[0.5, -1.0], [2.0, 0.25]]
LOSS_SYN, LOSS_MEM = 0.2, 0.1


def tensor(numbers):
    return torch.tensor(np.array(numbers), dtype=torch.float64)


def coefficients(damping=0.5):
    """Two neurons; the triangle's slope is 1 − |x|, easy in the head."""
    ones = torch.ones(2, dtype=torch.float64)
    return StepCoefficients(
        w_rec=tensor(W),
        a_syn=LOSS_SYN * ones,
        a_mem=LOSS_MEM * ones,
        v_leak=0.5 * ones,
        v_reset=-1 * ones,
        v_th=1 * ones,
        damping=damping,
        surrogate="triangle",
    )


def tape(flags, x, *, z0=(0, 0), v0=(0, 0), inputs=None, current=None, noise=None):
    """One trial."""
    steps = len(flags)
    return Tape(
        flags=torch.tensor(flags, dtype=torch.uint8)[:, None],
        x=tensor(x)[:, None],
        z0=tensor([z0]),
        v0=tensor([v0]),
        inputs=tensor([[3.0]] * steps if inputs is None else inputs)[:, None],
        current=tensor([[7.0, 8.0]] * steps if current is None else current)[:, None],
        noise=tensor([[0.3, -0.2]] * steps if noise is None else noise)[:, None],
    )


def equal(got, expected):
    torch.testing.assert_close(got, tensor(expected), rtol=1e-13, atol=1e-13)


def test_one_step():
    """∂v′ = damping · slope · ∂z, and from it everything else."""
    made = tape([[0, SPIKED]], [[-0.2, 0.4]], z0=(1, 0), v0=(0.3, -0.1))
    got = backward(made, coefficients(), tensor([[[1.0, 2.0]]]), None, EVERYTHING)
    gv = np.array([0.5 * 0.8 * 1.0, 0.5 * 0.6 * 2.0])
    gj = LOSS_MEM * gv
    equal(got.w_in, 3 * gj[:, None])
    equal(got.w_rec, np.stack([gj, 0 * gj], axis=1))
    equal(got.v_leak, LOSS_MEM * gv)
    equal(got.v_th, -gv)
    equal(got.a_mem, gv * (0.5 - np.array([0.3, -0.1]) + np.array([7.0, 8.0])))
    equal(got.a_syn, [0, 0])
    equal(got.noise, gj * [0.3, -0.2])
    equal(got.z0, [gj @ np.array(W)])
    equal(got.v0, [(1 - LOSS_MEM) * gv])
    equal(got.i0, [gj])


def test_gradient_of_the_last_state():
    """The potential of who spiked was reset, so it says nothing of v′."""
    made = tape([[0, SPIKED]], [[-0.2, 3.0]])
    last = StateGradients(None, tensor([[1.0, 1.0]]), tensor([[10.0, 20.0]]))
    got = backward(made, coefficients(), None, last, EVERYTHING)
    gj = np.array([10.0, 20.0]) * (1 - LOSS_SYN) + LOSS_MEM * np.array([1.0, 0.0])
    equal(got.i0, [gj])
    equal(got.v0, [[1 - LOSS_MEM, 0]])
    equal(got.a_syn, [-10 * 7, -20 * 8])
    spiked = StateGradients(tensor([[4.0, 4.0]]), None, None)
    got = backward(made, coefficients(), None, spiked, EVERYTHING)
    equal(got.v_th, [-0.5 * 0.8 * 4, 0])


def test_a_neuron_at_rest_lets_nothing_through_but_its_current():
    made = tape([[RESTED, 0]], [[0.1, 5.0]])
    last = StateGradients(None, tensor([[6.0, 0.0]]), tensor([[10.0, 0.0]]))
    got = backward(made, coefficients(), tensor([[[1.0, 1.0]]]), last, EVERYTHING)
    equal(got.v0, [[0, 0]])
    equal(got.v_th, [0, 0])
    equal(got.v_leak, [0, 0])
    equal(got.i0, [[10 * (1 - LOSS_SYN), 0]])


def test_two_steps_pass_the_gradient_through_the_recurrent_weights():
    """Only the second step's loss; neuron 0 spikes in the first."""
    made = tape([[SPIKED, 0], [0, 0]], [[0.5, -0.5], [-0.2, -0.6]])
    got = backward(
        made, coefficients(), tensor([[[0.0, 0.0]], [[1.0, 1.0]]]), None, EVERYTHING
    )
    gv2 = np.array([0.5 * 0.8, 0.5 * 0.4])
    gj2 = LOSS_MEM * gv2
    gz1 = gj2 @ np.array(W)
    gv1 = 0.5 * 0.5 * gz1 + np.array([0, (1 - LOSS_MEM) * gv2[1]])
    gj1 = (1 - LOSS_SYN) * gj2 + LOSS_MEM * gv1
    equal(got.w_rec, np.stack([gj2, 0 * gj2], axis=1))
    equal(got.w_in, 3 * (gj1 + gj2)[:, None])
    equal(got.v_th, -0.5 * np.array([0.5, 0.5]) * gz1 - gv2)
    equal(got.a_syn, -gj2 * np.array([7.0, 8.0]))
    # before the second step v was reset in neuron 0, and x + v_th in neuron 1
    before = np.array([-1.0, 0.5])
    pulled = gv2 * (0.5 - before + [7, 8]) + gv1 * (0.5 + np.array([7, 8]))
    equal(got.a_mem, pulled)


def test_gradients_of_samples_enter_the_current_of_their_step():
    """Two samples of four steps: every second one, of a run that begins with step 5."""
    made = tape(
        *([[RESTED, RESTED]] * 4, [[0.0, 0.0]] * 4),
        noise=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
    )
    sampled = tensor([[[1.0, 10.0]], [[2.0, 20.0]]])
    samples = SampleGradients(sampled, 5, 2)
    got = backward(made, coefficients(), None, None, EVERYTHING, samples)
    keep = 1 - LOSS_SYN
    # samples are those of steps 5 and 7, the first and the third
    one = np.array([1.0, 10.0])
    gj = [one * (1 + 2 * keep**2), 2 * one * keep, 2 * one, 0 * one]
    equal(got.i0, [gj[0]])
    equal(got.w_in, 3 * sum(gj)[:, None])
    equal(got.noise, gj[0] * [1, 2] + gj[1] * [3, 4] + gj[2] * [5, 6])
    equal(got.a_syn, -np.array([7.0, 8.0]) * (gj[1] + gj[2]))
    equal(got.z0, [gj[0] @ np.array(W)])


def test_without_noise_on_the_tape_its_factor_has_no_gradient():
    made = tape([[0, 0]], [[0.0, 0.0]])._replace(noise=None)
    got = backward(made, coefficients(), tensor([[[1.0, 1.0]]]), None, EVERYTHING)
    equal(got.noise, [0, 0])


def test_what_is_not_wanted_is_none():
    made = tape([[0, 0]], [[0.0, 0.0]])._replace(current=None)
    grad = tensor([[[1.0, 1.0]]])
    got = backward(made, coefficients(), grad, None, frozenset(["w_rec", "v0"]))
    assert {name for name in WANTED if getattr(got, name) is not None} == {
        "w_rec",
        "v0",
    }


def test_a_tape_is_left_as_it_is():
    made = tape([[0, SPIKED]], [[-0.2, 0.4]], z0=(1, 0))
    copies = [part.clone() for part in made]
    last = StateGradients(*(tensor([[1.0, 2.0]]) for _ in range(3)))
    first = backward(made, coefficients(), tensor([[[1.0, 2.0]]]), last, EVERYTHING)
    again = backward(made, coefficients(), tensor([[[1.0, 2.0]]]), last, EVERYTHING)
    for part, copy in zip(made, copies, strict=True):
        assert torch.equal(part, copy)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)


def test_unknown_names_and_a_missing_current():
    made = tape([[0, 0]], [[0.0, 0.0]])
    with pytest.raises(ValueError, match=r"wanted: got tau_mem, need names from w_in"):
        backward(made, coefficients(), None, None, frozenset(["tau_mem"]))
    with pytest.raises(ValueError, match=r"tape: got no current, need J of each step"):
        short = made._replace(current=None)
        backward(short, coefficients(), None, None, frozenset(["a_syn"]))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_every_trial_is_in_one_share(threads, batch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        shares = over_trials(lambda first, last: list(range(first, last)), batch)
    finally:
        torch.set_num_threads(before)
    assert [trial for share in shares for trial in share] == list(range(batch))
    assert len(shares) == min(threads, batch)
