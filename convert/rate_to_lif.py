"""Rate → LIF: one scalar λ carries a rate network onto integrate-and-fire neurons.

Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116. A unit's rate r is stood for by
λ times the firing rate of a neuron; so recurrent and output weights are scaled by λ,
input weights and τ are kept.
"""

import numpy as np

from isotau.convert.activation import activate
from isotau.convert.lif import LIFNetwork, decay_fraction
from isotau.convert.lif_constants import PUBLISHED
from isotau.convert.lif_constants import LIFConstants as LIFConstants
from isotau.convert.rate import RateRNN


def rate_to_lif(
    rate: RateRNN,
    *,
    inverse_lambda: float,
    output_gain: float = 1.0,
    drive: float = 0.0,
    lag: float = 0.0,
    from_x0: bool = False,
    constants: LIFConstants = PUBLISHED,
) -> LIFNetwork:
    """Return the LIF network for one 1/λ.

    With q = 1 − exp(−dt/τ) a spike adds λ W_rec q/dt units to i, so that a constant
    firing rate f gives i = λ W_rec f; an input x adds q W_in x, the filter that it
    passes in the rate network; a bias b moves v_leak.

    Args:
        rate: the network; its rates must not be negative (`tanh_to_sigmoid`).
        inverse_lambda: 1/λ, firing rate that stands for r = 1, in Hz.
        output_gain: further factor on the output weights.
        drive: added to every v_leak, in volts.
        lag: time that τ_syn is shortened by, in seconds, for what membrane and rise
            time add to it; down to dt.
        from_x0: whether trials start in the state that stands for the rate network's
            x0, instead of at rest; v0 is then spread evenly over the neurons.
        constants: of the neurons.

    Raises:
        ValueError: 1/λ is not positive, the activation gives negative rates, or the
            network reads out other rates than those that recur.
    """
    if not inverse_lambda > 0:
        raise ValueError(f"inverse_lambda: got {inverse_lambda} Hz, need more than 0")
    if rate.activation == "tanh":
        raise ValueError(
            "activation: got tanh, need rates that are not negative; use "
            "tanh_to_sigmoid, which changes nothing but the variables"
        )
    if rate.readout_bias.any():
        raise ValueError(
            "readout_bias: got values other than 0, need 0, as a spike is the same for "
            "readout and recurrence; calibrate instead of scaling"
        )
    tau = np.maximum(rate.tau - lag, constants.dt)
    q = decay_fraction(tau, constants.dt)[:, None]
    every = np.ones(rate.n)
    start = {}
    if from_x0:
        r = activate(rate.x0, rate.activation, rate.ceiling)
        spread = (np.arange(rate.n) * 0.6180339887498949) % 1
        start = {
            "i0": constants.unit * (rate.x0 - rate.bias),
            "v0": constants.v_reset + spread * (constants.v_th - constants.v_reset),
            "f0": inverse_lambda * r,
        }
    return LIFNetwork(
        w_in=constants.unit * q * rate.w_in,
        w_rec=constants.unit * q / (constants.dt * inverse_lambda) * rate.w_rec,
        w_out=output_gain / inverse_lambda * rate.w_out,
        b_out=rate.b_out,
        tau_syn=tau,
        tau_mem=constants.tau_mem * every,
        v_th=constants.v_th * every,
        v_leak=constants.v_leak + drive + constants.unit * rate.bias,
        v_reset=constants.v_reset * every,
        refractory=constants.refractory * every,
        noise_std=constants.noise_std,
        dt=constants.dt,
        **start,
    )
