"""A random LIF network, for tuning from scratch."""

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants
from isotau.convert.records.lif import LIFNetwork

MEAN_RATE = 20.0
"""Firing rate, in Hz, for which inputs and recurrent currents are scaled."""


def from_scratch(
    n: int,
    n_in: int,
    n_out: int,
    *,
    tau_syn: tuple[float, float] = (0.01, 0.05),
    p_inh: float | None = 0.2,
    p_rec: float = 0.2,
    gain: float = 0.1,
    input_gain: float = 1.0,
    constants: LIFConstants = PUBLISHED,
    seed: int = 0,
) -> LIFNetwork:
    """Return a LIF network with random weights, fit to begin to learn.

    Recurrent weights are |N(0, 1)|, of one sign for each neuron, excitation and
    inhibition in balance: at `MEAN_RATE` the recurrent current of a neuron has a
    standard deviation of `gain` · (v_th − v_reset) over the network. An input of 1 that
    lasts gives currents N(0, 1) · `input_gain` · (v_th − v_reset).

    Args:
        n: number of neurons.
        n_in: number of input channels.
        n_out: number of outputs.
        tau_syn: shortest and longest synaptic time constant, in seconds; uniform.
        p_inh: share of inhibitory neurons, the last ones; None for mixed signs.
        p_rec: probability of a synapse.
        gain: of the recurrent weights.
        input_gain: of the input weights.
        constants: of the neurons; there is no burn-in, so it does not count.
        seed: of everything that is drawn.

    Raises:
        ValueError: a number out of its range.
    """
    n = validation.whole("n", n, 1, 1 << 16)
    rng = np.random.default_rng(seed)
    low, high = (validation.number("tau_syn", tau, positive=True) for tau in tau_syn)
    if high < low:
        raise ValueError(f"tau_syn: got {tau_syn}, need the shorter one first")
    for name, share in (("p_rec", p_rec), ("p_inh", p_inh or 0.0)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}: got {share}, need 0 to 1")
    taus = rng.uniform(low, high, n)
    span = constants.v_th - constants.v_reset
    signs = _signs(n, p_inh, rng)
    present = rng.random((n, n)) < p_rec
    weights = np.abs(rng.standard_normal((n, n))) * present * signs
    # (U20); 1 where there is no synapse at all
    spread = np.sqrt((weights**2).sum(axis=1).mean()) or 1.0
    # one spike raises i by w for τ/dt steps: at rate r the current's mean is w·r·τ
    per_spike = gain * span / (spread * MEAN_RATE * taus[:, None])
    leak = constants.dt / taus[:, None]  # of (R2): inputs that last add up to τ/dt
    return LIFNetwork(
        w_in=input_gain * span * leak * rng.standard_normal((n, n_in)),
        w_rec=weights * per_spike,
        # at the mean rate outputs are of order 1/√n
        w_out=rng.standard_normal((n_out, n)) / (MEAN_RATE * n),
        b_out=np.zeros(n_out),
        tau_syn=taus,
        tau_mem=np.full(n, constants.tau_mem),
        v_th=np.full(n, constants.v_th),
        v_leak=np.full(n, constants.v_leak),
        v_reset=np.full(n, constants.v_reset),
        refractory=np.full(n, constants.refractory),
        noise_std=np.full(n, constants.noise_std),
        dt=constants.dt,
    )


def _signs(n: int, p_inh: float | None, rng: np.random.Generator) -> np.ndarray:
    """Return each neuron's sign, scaled for balance; or a sign for each synapse."""
    if p_inh is None:
        return rng.choice([-1.0, 1.0], size=(n, n))
    # so much stronger as they are fewer: the mean recurrent current is 0
    inhibitory = round(p_inh * n)
    signs = np.ones(n)
    if inhibitory:
        signs[n - inhibitory :] = -(n - inhibitory) / inhibitory
    return signs
