"""Reading `torch.nn.RNN`: modules, state dicts, and the `.pt` files that hold them."""

import re
from collections.abc import Collection

import numpy as np
from torch import nn

from isotau.convert.conventions import (
    Convention,
    Conventions,
    Read,
    settle_timing,
    start_state,
    whose,
)
from isotau.convert.read_plain import Arrays, is_part
from isotau.convert.read_state_dict import Source, read_state

DT = 0.020
"""Step in seconds where nobody says; such networks count steps."""
_WEIGHT = re.compile(r"(.*?)((?:weight|bias)_(?:ih|hh|hr))(_l\d+)?(_reverse)?")


def read_torch_rnn(
    source: Source,
    *,
    alpha: float | None = None,
    dt: float | None = None,
    tau: float | None = None,
    noise_std: float | None = None,
    activation: str | None = None,
    readout: str | None = None,
    ignore: Collection[str] = (),
) -> Read:
    """Return the network of a one-layer `torch.nn.RNN` or RNNCell and a linear readout.

    h_t = φ(W_ih u_t + b_ih + W_hh h_{t−1} + b_hh), o_t = W_out h_t + b_out from h = 0:
    x is what φ is applied to, and alpha = dt/tau = 1, no leak. For alpha < 1 the leak
    acts on x: x ← (1 − alpha) x + alpha (W_hh φ(x) + W_ih u + b).

    Args:
        source: a `.pt` file, a module, or its state dict.
        alpha: dt/tau; 1 where fewer than two of alpha, dt and tau are given.
        dt: step, in seconds; 20 ms where not given.
        tau: time constant, in seconds.
        noise_std: standard deviation of the noise added to x in every step; 0 if None.
        activation: φ, which state dicts do not name; tanh if None, or a module's own.
        readout: name of the linear readout, such as "fc". Where None it is the only
            matrix with as many columns as there are units; without one the outputs are
            the units, as nn.RNN itself returns them.
        ignore: names (of parameters, or of whole submodules) to leave out.

    Raises:
        UnreadableFile: damaged, too large, another kind of network (LSTM, GRU, several
            layers, bidirectional), several readouts, or parameters that are not used.
    """
    at = read_state(source)
    prefix, layer = _only_layer(at)
    names = {k: f"{prefix}{k}{layer}" for k in ("weight_ih", "weight_hh")}
    n = _units(at, names["weight_hh"])
    w_in = at.take(names["weight_ih"], (n, None), "unit × input")
    bias = np.zeros(n)
    for key in (f"{prefix}bias_ih{layer}", f"{prefix}bias_hh{layer}"):
        bias += at.take(key, (n,), "unit") if key in at else 0.0
    name, how = _readout(at, n, readout, ignore)
    w_out, b_out = np.eye(n), np.zeros(n)
    if name:
        w_out = at.take(f"{name}weight", (None, n), "output × unit")
        b_out = np.zeros(len(w_out))
        if f"{name}bias" in at:
            b_out = at.take(f"{name}bias", b_out.shape, "output")
    phi = _activation(source, activation)
    timing = settle_timing(alpha=alpha, dt=dt, tau=tau, usual_alpha=1.0, usual_dt=DT)
    noise = 0.0 if noise_std is None else noise_std
    net = at.network(
        w_rec=at.take(names["weight_hh"], (n, n), "post × pre"),
        w_in=w_in,
        w_out=w_out,
        bias=bias,
        b_out=b_out,
        tau=np.full(n, timing.tau),
        dale=np.zeros(n, dtype=np.int8),
        activation=phi.value,
        noise_std=noise,
        dt=timing.dt,
        x0=start_state(np.zeros(n), phi.value, timing.dt / timing.tau),
        x0_std=0.0,
    )
    items = (
        *timing.items,
        Convention("transposes", "none: all weights are post × pre", "default"),
        phi,
        Convention("noise", f"{noise:g} per step", whose(noise_std)),
        how,
        Convention("start", "h = 0", "default"),
    )
    ignored = at.unused(ignore)
    return Read(net, Conventions(family="torch.nn.RNN", items=items, ignored=ignored))


def _only_layer(at: Arrays) -> tuple[str, str]:
    """Return prefix and suffix of the recurrent layer; there has to be one."""
    matches = [match for key in at.values if (match := _WEIGHT.fullmatch(key))]
    parts = [match.groups(default="") for match in matches]
    layers = sorted({(prefix, layer) for prefix, _, layer, _ in parts})
    if not layers:
        raise at.fail(
            "weight_hh_l0", f"only {', '.join(at.values)}", "a torch.nn.RNN's names"
        )
    if any(direction for *_, direction in parts):
        raise at.fail(
            "bidirectional", "a reverse direction", "one direction; train it forward"
        )
    if any(kind == "weight_hr" for _, kind, _, _ in parts):
        raise at.fail("weight_hr", "an LSTM with projection", "a plain RNN")
    if len(layers) > 1:
        names = ", ".join(prefix + layer for prefix, layer in layers)
        raise at.fail(
            "layers", f"{len(layers)} ({names})", "one; train a single recurrent layer"
        )
    return layers[0]


def _units(at: Arrays, key: str) -> int:
    """Return the number of units; rows of weights tell gated cells."""
    shape = at.shape(key)
    gated = {3: "GRU", 4: "LSTM"}
    if len(shape) == 2 and shape[1] and shape[0] / shape[1] in gated:
        kind = gated[shape[0] // shape[1]]
        raise at.fail(
            key,
            f"the gates of {kind} cells",
            "a plain RNN, which has no gates; train one",
        )
    at.take(key, (None, shape[-1] if shape else None), "post × pre, square")
    if shape[0] != shape[1]:
        raise at.fail(key, f"shape {shape}", "a square matrix, post × pre")
    return shape[0]


def _readout(
    at: Arrays, n: int, wanted: str | None, ignore: Collection[str]
) -> tuple[str, Convention]:
    """Return the start of the readout's names, "" for none, and how it was found."""
    fitting = [
        key.removesuffix("weight")
        for key, value in at.values.items()
        if key.endswith("weight")
        and value.ndim == 2
        and value.shape[1] == n
        and not any(is_part(key, name) for name in ignore)
    ]
    if wanted is not None:
        if f"{wanted}." not in fitting:
            names = ", ".join(name.rstrip(".") for name in fitting) or "none"
            raise at.fail("readout", wanted, f"a linear layer on the units: {names}")
        return f"{wanted}.", Convention("readout", wanted, "argument")
    if len(fitting) > 1:
        names = ", ".join(name.rstrip(".") for name in fitting)
        raise at.fail("readout", names, "one; name it, and the others in ignore")
    if fitting:
        name = fitting[0]
        said = name.rstrip(".") or "weight"
        return name, Convention("readout", said, "file", "found by its shape")
    identity = "none: the outputs are the units"
    return "", Convention("readout", identity, "default", "as nn.RNN returns them")


def _activation(source: Source, wanted: str | None) -> Convention:
    """Return φ: a module's own, else the caller's, else tanh."""
    own = None
    if isinstance(source, nn.Module):
        told = [getattr(part, "nonlinearity", None) for part in source.modules()]
        own = next((name for name in told if isinstance(name, str)), None)
    if own is None:
        note = "" if wanted else "state dicts do not name it"
        return Convention("activation", wanted or "tanh", whose(wanted), note)
    if wanted not in (None, own):
        raise ValueError(f"activation: got {wanted!r}, need {own!r}, the module's own")
    return Convention("activation", own, "file")
