"""A record of every kind that isotau keeps, small."""

from typing import Any

import numpy as np

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, SpikeTimes
from isotau.convert.records.trials import Trials

N, N_IN, N_OUT = 12, 2, 1


def records() -> dict[str, Any]:
    """Return a record of every kind that `storage` keeps, by the kind's name."""
    kinds = (rate(), lif(), fixed(), *recordings())
    return {type(record).__name__: record for record in kinds}


def rate() -> RateRNN:
    """Return a rate network."""
    rng = np.random.default_rng(0)
    return RateRNN(
        w_rec=rng.normal(size=(N, N)),
        w_in=rng.normal(size=(N, N_IN)),
        w_out=rng.normal(size=(N_OUT, N)),
        bias=rng.normal(size=N),
        b_out=rng.normal(size=N_OUT),
        tau=rng.uniform(0.02, 0.1, N),
        dale=np.zeros(N, dtype=np.int8),
        activation="sigmoid",
        noise_std=0.1,
        dt=0.005,
    )


def lif() -> LIFNetwork:
    """Return a network of LIF neurons."""
    rng = np.random.default_rng(1)
    return LIFNetwork(
        w_in=rng.normal(size=(N, N_IN)),
        w_rec=rng.normal(size=(N, N)),
        w_out=rng.normal(size=(N_OUT, N)),
        b_out=rng.normal(size=N_OUT),
        tau_syn=rng.uniform(0.02, 0.1, N),
        tau_mem=np.full(N, 0.01),
        v_th=np.full(N, -0.04),
        v_leak=np.full(N, -0.045),
        v_reset=np.full(N, -0.065),
        refractory=np.full(N, 0.002),
        noise_std=0.001,
        dt=0.001,
    )


def fixed() -> FixedPointNetwork:
    """Return a network in Loihi's integers."""
    rng = np.random.default_rng(2)
    blocks = tuple(
        WeightBlock(
            source=source,
            pre=np.arange(columns),
            weights=2 * rng.integers(-100, 100, (N, columns)),
            weight_exp=0,
            num_weight_bits=8,
            sign_mode=SignMode.MIXED,
        )
        for source, columns in (("input", N_IN), ("recurrent", N))
    )
    return FixedPointNetwork(
        blocks=blocks,
        n_in=N_IN,
        du=np.full(N, 200),
        dv=np.full(N, 400),
        vth=np.full(N, 512),
        bias_mant=rng.integers(-9, 9, N),
        bias_exp=np.zeros(N, dtype=np.int8),
        refractory=np.full(N, 2),
        noise_exp=None,
        state_scale=1e6,
        v_reset=np.full(N, -0.065),
        input_scale=100.0,
        dt=0.001,
        w_out=rng.normal(size=(N_OUT, N)),
        b_out=np.zeros(N_OUT),
        tau_out=np.full(N, 0.02),
    )


def recordings() -> tuple[Trials, Spikes, SpikeTimes]:
    """Return what a network is shown, and spikes in both forms."""
    rng = np.random.default_rng(3)
    trials = Trials(
        inputs=rng.normal(size=(20, 3, N_IN)),
        targets=rng.normal(size=(20, 3, N_OUT)),
        mask=rng.random((20, 3)) < 0.5,
        labels=np.arange(3),
        dt=0.005,
        task="go-nogo",
    )
    spikes = Spikes(
        bits=rng.integers(0, 256, (50, 3, 2)).astype(np.uint8),
        n=16,
        dt=0.001,
        engine="reference",
    )
    trial, neuron = rng.integers(0, 4, 90), rng.integers(0, 5, 90)
    times = SpikeTimes(
        times=rng.uniform(0, 1, 90),
        trial=trial,
        neuron=neuron,
        trials=np.full(5, 4),
        duration=1.0,
    )
    return trials, spikes, times
