"""Compartment and threshold profiles: what the neurons of one core can differ in.

A core of Loihi 1 holds 32 compartment profiles (du, dv, refractory period) and 16
threshold profiles; a neuron names one of each, and has its bias for itself (Davies et
al. 2018, doi:10.1109/MM.2018.112130359; the numbers as in nengo-loihi 1.1). Networks
with a time constant for every neuron need their neurons grouped; weights, biases and
states are scaled for the new registers and rounded again. In simulation every neuron
keeps its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64, Integer

from isotau.convert.chip import arithmetic
from isotau.convert.ground import validation
from isotau.convert.ground.errors import (
    DoesNotFit,
    Finding,
    info,
    neuron_range,
    warning,
)
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import per_row, row_sums, values_of, with_values
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.to_fixed.quantize import fit_bias
from isotau.targets.on_lava.lava_clusters import (
    Axis,
    RegisterClusters,
    cluster,
    decay_axis,
    log_tau,
    share,
    threshold_axis,
)


def scale_states(
    net: FixedPointNetwork,
    of_drive: Float64[np.ndarray, " n"],
    of_state: Float64[np.ndarray, " n"],
) -> tuple[FixedPointNetwork, np.ndarray]:
    """Return the network with biases and states scaled, and how many were clipped.

    Args:
        net: the network.
        of_drive: factor of bias and u at power-up.
        of_state: factor of v at power-up and of the state scale.
    """
    exponents = net.bias_exp.astype(np.int64)
    mantissas, fitted = fit_bias(net.bias_mant * 2.0**exponents * of_drive)  # (F10)
    # A bias that stays is not fitted anew: several exponents can hold it.
    same = of_drive == 1
    exact = {
        "bias_mant": np.where(same, net.bias_mant, mantissas),
        "u0": np.rint(net.u0 * of_drive),
        "v0": np.rint(net.v0 * of_state),
    }
    limit = arithmetic.STATE_LIMIT - 1
    ranges = dict.fromkeys(exact, (-limit, limit))
    ranges["bias_mant"] = (arithmetic.BIAS_MANT_MIN, arithmetic.BIAS_MANT_MAX)
    fitting = {name: np.clip(exact[name], *ranges[name]) for name in exact}
    clipped = np.sum([fitting[name] != exact[name] for name in exact], axis=0)
    scaled = replace(
        net,
        **fitting,
        bias_exp=np.where(same, exponents, fitted),
        state_scale=net.state_scale * of_state,
    )
    return scaled, clipped


def scale_rows(
    net: FixedPointNetwork, factors: Float64[np.ndarray, " n"]
) -> tuple[FixedPointNetwork, np.ndarray, np.ndarray]:
    """Return the network with each neuron's incoming weights scaled, and the damage.

    What no longer fits a block's mantissas goes into a further block of a larger
    exponent. The second value is the rounding of each neuron's new weights, relative to
    the weights (root mean square), the third how many were beyond every exponent and
    are clipped.
    """
    blocks: list[WeightBlock] = []
    squares, total, clipped = np.zeros((3, net.n))
    for block in net.blocks:
        exact = values_of(block.weights) * per_row(block.weights, factors)
        cut, beyond = _scaled(block, exact)
        blocks += [
            replace(
                block,
                weights=with_values(block.weights, values),
                weight_exp=exponent,
            )
            for exponent, values in cut
        ]
        # In the block's own unit, then all blocks in one, that of exponent 0.
        rounded = sum(
            2.0 ** (exponent - block.weight_exp) * values for exponent, values in cut
        )
        unit = 4.0**block.weight_exp
        squares += unit * row_sums(block.weights, (rounded - exact) ** 2)
        total += unit * row_sums(block.weights, exact**2)
        clipped += row_sums(block.weights, beyond)
    error = np.sqrt(squares / np.where(total > 0, total, 1.0))
    return replace(net, blocks=tuple(blocks)), error, clipped.astype(np.int64)


def _scaled(
    block: WeightBlock, exact: np.ndarray
) -> tuple[list[tuple[int, np.ndarray]], np.ndarray]:
    """Return exponent and mantissas, of those too large for it another pair.

    The second value marks what is too large for any exponent, and is clipped.
    """
    fitting, beyond = _on_grid(block, exact)
    room = arithmetic.WEIGHT_EXP_MAX - block.weight_exp
    if not beyond.any() or not room:
        return [(block.weight_exp, fitting)], beyond
    # The smallest exponent that holds the largest of them; a mantissa has eight bits.
    more = min(int(np.ceil(np.log2(np.abs(exact[beyond]).max() / 256))) + 1, room)
    large, still = _on_grid(block, np.where(beyond, exact, 0.0) / 2.0**more)
    first = (block.weight_exp, np.where(beyond, 0, fitting))
    return [first, (block.weight_exp + more, large)], still


def _on_grid(block: WeightBlock, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest weights of a block's grid, and which had to be clipped."""
    step = arithmetic.grid_step(block.num_weight_bits, block.sign_mode)
    nearest = (step * np.rint(exact / step)).astype(np.int64)  # (F18)
    fitting = arithmetic.on_grid(nearest, block.num_weight_bits, block.sign_mode)
    return fitting, fitting != nearest


COMPARTMENTS, THRESHOLDS = 32, 16
"""Profiles of one core of Loihi 1; none are published for Loihi 2."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """A network whose neurons share profiles, and what became of their timescales.

    Attributes:
        net: the network, with each neuron's registers those of its group.
        compartments: number of the profile of du, dv and refractory period that each
            neuron has; profiles of different cores have different numbers.
        thresholds: the same for vth.
        log_tau_syn: natural logarithm of new over old synaptic time constant.
        log_tau_mem: the same for the membrane.
        log_vth: the same for the threshold in volts above reset.
        log_noise: the same for the membrane noise's standard deviation in volts; 0
            without noise.
        weight_error: of each neuron, root of the sum of squares of the rounding of its
            new weights, relative to that of the weights; 0 where they stay.
        clipped: how many of each neuron's new weights, biases and start states were
            beyond their range.
    """

    net: FixedPointNetwork
    compartments: Int64[np.ndarray, " n"]
    thresholds: Int64[np.ndarray, " n"]
    log_tau_syn: Float64[np.ndarray, " n"]
    log_tau_mem: Float64[np.ndarray, " n"]
    log_vth: Float64[np.ndarray, " n"]
    log_noise: Float64[np.ndarray, " n"]
    log_current_noise: Float64[np.ndarray, " n"]
    weight_error: Float64[np.ndarray, " n"]
    clipped: Int64[np.ndarray, " n"]


def group_profiles(
    net: FixedPointNetwork,
    *,
    compartments: int = COMPARTMENTS,
    thresholds: int = THRESHOLDS,
    per_core: Integer[np.ndarray, " n"] | None = None,
    compensate: bool = True,
) -> Grouped:
    """Return the network with at most so many profiles, and the loss of timescale.

    The sum of the squared logarithms of new over old time constants is the least there
    is where either du or dv is the same for all; where both differ, k-means finds a
    small one. Refractory periods, dv = 0 and vth = 0 are never changed.

    A changed time constant changes what constant input amounts to, and a changed
    threshold how far away it is. With `compensate` the neuron's weights, bias and start
    state are scaled so that it is not: constant input brings v to the same fraction of
    the threshold. The threshold in volts stays too, by the neuron's `state_scale`.
    Weights are rounded a second time by this. Nothing changes where profiles suffice.

    Args:
        net: the network.
        compartments: most profiles of du, dv and refractory period on a core.
        thresholds: most thresholds on a core; 1 makes Lava's populations fewest.
        per_core: number of each neuron's core, from 0; by default all share one core's
            profiles, which holds for whatever placement.
        compensate: whether to scale weights and biases.

    Raises:
        DoesNotFit: more refractory periods than profiles.
    """
    most = validation.whole("compartments", compartments, 1, 2**31 - 1)
    most_thresholds = validation.whole("thresholds", thresholds, 1, 2**31 - 1)
    cores = np.zeros(net.n) if per_core is None else per_core
    cores = validation.integers(
        "per_core", cores, (net.n,), "neuron", dtype=np.int64, low=0, high=2**31 - 1
    )
    # In 64 bits, as 4095 + 1 and the ratios below leave the registers' own types.
    loss = net.du.astype(np.int64) + arithmetic.DU_OFFSET
    dv, vth = net.dv.astype(np.int64), net.vth.astype(np.int64)
    refractory = net.refractory.astype(np.int64)
    # A register of 0, no leak or no threshold, has no logarithm: a class by itself.
    decays, (new_loss, new_dv) = _grouped(
        np.stack([loss, dv], axis=1),
        np.stack([refractory, dv == 0], axis=1),
        cores,
        (decay_axis(arithmetic.DECAY_UNITY), decay_axis(arithmetic.DECAY_MAX)),
        most,
    )
    levels, (new_vth,) = _grouped(
        vth[:, None],
        (vth == 0)[:, None],
        cores,
        (threshold_axis(),),
        most_thresholds,
    )
    changed = replace(net, du=new_loss - arithmetic.DU_OFFSET, dv=new_dv, vth=new_vth)
    ratio_dv, ratio_vth = _ratio(new_dv, dv), _ratio(new_vth, vth)
    error, clipped = np.zeros(net.n), np.zeros(net.n, dtype=np.int64)
    if compensate:  # (F29)
        of_bias = ratio_dv * ratio_vth
        changed, clipped = scale_states(changed, of_bias, ratio_vth)
        changed, error, more = scale_rows(changed, of_bias * new_loss / loss)
        clipped = clipped + more
    return Grouped(
        net=changed,
        compartments=decays,
        thresholds=levels,
        log_tau_syn=log_tau(new_loss) - log_tau(loss),
        log_tau_mem=log_tau(np.maximum(new_dv, 1)) - log_tau(np.maximum(dv, 1)),
        log_vth=np.zeros(net.n) if compensate else np.log(ratio_vth),
        log_noise=_log_noise(changed) - _log_noise(net),
        log_current_noise=_log_current_noise(changed) - _log_current_noise(net),
        weight_error=error,
        clipped=clipped,
    )


def percent(logs: Float64[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the median and the largest change that logarithms stand for, in percent.

    A factor of 1.1 and one of 1/1.1 are both 10 percent.
    """
    # Up and down alike: a τ that is halved is as far off as one that is doubled.
    change = 100 * np.expm1(np.abs(logs))
    return float(np.median(change)), float(change.max())


def findings_of_grouping(grouped: Grouped) -> list[Finding]:
    """Return what a grouping changed: time constants, thresholds, noise, weights."""
    register, volts = "need every neuron's own", "need the same volts"
    kinds = {
        "tau_syn": (grouped.log_tau_syn, register),
        "tau_mem": (grouped.log_tau_mem, register),
        "vth": (grouped.log_vth, register),
        "noise_exp": (grouped.log_noise, volts),
        "current_noise_exp": (grouped.log_current_noise, volts),
    }
    findings = []
    for name, (logs, need) in kinds.items():
        if logs.any():
            median, largest = percent(logs)
            findings.append(
                warning(
                    f"{name}, {neuron_range(logs != 0)}",
                    f"{name}: got changes of {median:.3g} % (median) and "
                    f"{largest:.3g} % (largest) by profiles, {need}",
                    "measure timescales of the grouped network, or use more profiles",
                )
            )
    # Rounding twice is no loss by itself: what it adds is told.
    moved = grouped.weight_error > 0
    if moved.any():
        findings.append(
            info(
                f"weights, {neuron_range(moved)}",
                "weights: got rows scaled for the new registers and rounded again, by "
                f"{100 * grouped.weight_error.max():.3g} % at most (root mean square)",
                "none needed; compensate=False leaves weights, and changes gains",
            )
        )
    if grouped.clipped.any():
        findings.append(
            warning(
                f"weights, biases, {neuron_range(grouped.clipped > 0)}",
                f"clipped: got {int(grouped.clipped.sum())} beyond their range after "
                "scaling, need none",
                "clipped; quantize with a smaller state_scale to leave room",
            )
        )
    return findings


def _grouped(
    values: Int64[np.ndarray, "n axes"],
    classes: np.ndarray,
    cores: Int64[np.ndarray, " n"],
    axes: Sequence[Axis],
    most: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each neuron's profile, and the registers that it has by it, axis × n."""
    labels, shared, count = np.zeros(len(values), np.int64), values.copy(), 0
    # Each core has a table of profiles of its own.
    for core in np.unique(cores):
        here = np.flatnonzero(cores == core)
        kinds, kind = np.unique(classes[here], axis=0, return_inverse=True)
        if len(kinds) > most:
            raise DoesNotFit(
                f"profiles: got {len(kinds)} kinds of neurons on core {core} that "
                f"differ in what is never changed, need at most {most}; place them on "
                "several cores"
            )
        # numpy 2.0 alone gives inverses a second axis.
        members = [here[kind.reshape(-1) == k] for k in range(len(kinds))]
        for inside, clusters in _of_classes(values, members, axes, most):
            labels[inside] = count + clusters.labels
            shared[inside] = clusters.centres[clusters.labels]
            count += len(clusters.centres)
    return labels, shared.T


def _of_classes(
    values: Int64[np.ndarray, "n axes"],
    members: list[np.ndarray],
    axes: Sequence[Axis],
    most: int,
) -> Iterator[tuple[np.ndarray, RegisterClusters]]:
    """Yield each class's neurons and their clusters, one label for each neuron."""
    distinct = [
        np.unique(values[inside], axis=0, return_inverse=True, return_counts=True)
        for inside in members
    ]
    shares = [len(rows) for rows, _, _ in distinct]
    if sum(shares) > most:
        # Each of the other classes has at least one.
        room = most - len(members) + 1
        costs = [
            [
                cluster(rows, counts, axes, k).cost
                for k in range(1, min(room, len(rows)) + 1)
            ]
            for rows, _, counts in distinct
        ]
        shares = share(costs, most) if len(members) > 1 else [most]
    for inside, (rows, row, counts), k in zip(members, distinct, shares, strict=True):
        clusters = cluster(rows, counts, axes, k)
        yield inside, clusters._replace(labels=clusters.labels[row.reshape(-1)])


def _ratio(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return new/old, and 1 where both are 0."""
    return np.where(old == 0, 1.0, new / np.maximum(old, 1))


def _log_noise(net: FixedPointNetwork) -> np.ndarray:
    """Return the logarithm of a silent neuron's noise (F27), up to a constant."""
    # Without leak the noise has no bound; its smallest leak stands for that.
    decay = 1 - np.maximum(net.dv, 1) / arithmetic.DECAY_UNITY
    size = -np.log(net.state_scale) - np.log(1 - decay**2) / 2
    return np.where(net.noise_exp > 0, size, 0.0)


def _log_current_noise(net: FixedPointNetwork) -> np.ndarray:
    """Return the same of a current's noise, in volts of current."""
    decay = 1 - (net.du + float(arithmetic.DU_OFFSET)) / arithmetic.DECAY_UNITY
    # A membrane without leak takes in no current: any of its volts would do.
    per_volt = np.where(net.dv > 0, net.u_per_volt, 1.0)
    size = -np.log(per_volt) - np.log(1 - decay**2) / 2
    return np.where(net.current_noise_exp > 0, size, 0.0)
