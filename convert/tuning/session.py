"""`Session`: where tuning stands between two updates, and how it began."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.settings import describe_settings
from isotau.convert.records.checkpoint import (
    FORMAT,
    Checkpoint,
    damage_named,
    digest,
    fitting,
    read_checkpoint,
)
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.simulate.norse_module import LIFModule, to_network
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.convert.tuning.evaluate import TuneEvaluation
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.forward.dynamics import Dynamics, NorseLoop
from isotau.convert.tuning.forward.fused import Fused, applies
from isotau.convert.tuning.forward.units import in_units, in_volts, unit_of
from isotau.convert.tuning.learner.constraints import constraints_of, typical_sizes
from isotau.convert.tuning.learner.device_noise import remember_peaks
from isotau.convert.tuning.learner.learner import Learner, Method
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.batch import Batch, Source, as_batch, silent_batch
from isotau.convert.tuning.loss.objective import Objective

LASTING = ("updates", "patience", "stop_accuracy")
"""What may differ between a tuning and the one that goes on from its checkpoint."""


class Quantization(NamedTuple):
    """What the chip's arithmetic in the forward pass needs.

    Attributes:
        ranges: what the network's states visited before tuning (`simulate_lif`).
        input_peak: largest |input| that the network will be shown.
        config: of the quantizer.
    """

    ranges: Ranges
    input_peak: float
    config: QuantizeConfig = QuantizeConfig()


@short_repr
@dataclass(slots=True, eq=False)
class Session:
    """Where tuning stands.

    Attributes:
        net: before tuning, in volts.
        unit: of each neuron's voltages in the module, in volts.
        learner: holds the module.
        method: finds the gradients.
        source: of the trials.
        rng: of the trials and of the seeds of noise.
        held: held-out trials.
        held_quiet: held-out trials without input; None unless the timescale term looks
            at such.
        update: updates done.
        losses: parts of the loss at every update, before it.
        evaluations: so far, in order.
        best: parameters of the best evaluation.
        best_evaluation: that evaluation.
    """

    net: LIFNetwork
    unit: Float64[np.ndarray, " n"]
    learner: Learner
    method: Method
    source: Source
    rng: np.random.Generator
    held: Batch
    held_quiet: Batch | None
    update: int = 0
    losses: list[dict[str, float]] = field(default_factory=list)
    evaluations: list[TuneEvaluation] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_evaluation: TuneEvaluation | None = None

    def draw(self) -> tuple[Batch, Batch | None]:
        """Return the next update's trials, and those without input if it wants some."""
        config, module = self.learner.config, self.learner.module
        trials = self.source.draw(config.batch, self.rng)
        seeds = [int(seed) for seed in self.rng.integers(1 << 62, size=2)]
        place: dict[str, Any] = {
            "dtype": module.w_rec.dtype,
            "device": module.w_rec.device,
        }
        batch = as_batch(trials, self.net, self.source, seed=seeds[0], **place)
        # seeds are drawn for both: quiet_every must not change the task's trials
        if self.held_quiet is None or self.update % config.quiet_every:
            return batch, None
        return batch, _quiet(self.net, config, seeds[1], place)

    def parameters(self) -> dict[str, torch.Tensor]:
        """Return a copy of what trains, in the module's units."""
        named = self.learner.parameters()
        return {name: part.detach().clone() for name, part in named.items()}

    def network(self, parameters: Mapping[str, torch.Tensor]) -> LIFNetwork:
        """Return the network with these parameters, in volts.

        What did not train is the given network's, to the bit.
        """
        with self._holding(parameters) as module:
            tuned = in_volts(to_network(module), self.unit)
        return replace(self.net, **{name: getattr(tuned, name) for name in parameters})

    def fixed(self, parameters: Mapping[str, torch.Tensor]) -> FixedPointNetwork | None:
        """Return the integers that these parameters ran with; None without the chip."""
        dynamics = self.learner.dynamics
        if not isinstance(dynamics, ChipDynamics):
            return None
        with self._holding(parameters) as module:
            return dynamics.fixed(module)

    @contextmanager
    def _holding(self, parameters: Mapping[str, torch.Tensor]) -> Iterator[LIFModule]:
        """Return a context in which the module has other parameters."""
        module, present = self.learner.module, self.parameters()
        # in place, as the optimizer holds the very tensors
        with torch.no_grad():
            module.load_state_dict(parameters, strict=False)
            try:
                yield module
            finally:
                module.load_state_dict(present, strict=False)


def begin(
    net: LIFNetwork,
    source: Source,
    objective: Objective,
    config: TuneConfig,
    method: Method,
    quantization: Quantization | None,
    held_out: Source | None = None,
) -> Session:
    """Return the session before the first update.

    Raises:
        ValueError: trials that do not fit the network, a device that is not there.
        DoesNotFit: the network does not fit the chip.
    """
    device = _device(config.device)
    unit = unit_of(net, config.width)  # (U1)
    module = LIFModule(
        in_units(net, unit),
        dtype=getattr(torch, config.dtype),
        surrogate=config.surrogate,
        # (U3): per unit of the module, in which the surrogate is 1 wide
        damping=config.damping * config.width,
        train=config.train,
        unit=unit,
    ).to(device)
    if config.update_levels:  # (U19): the step is that of the weights before tuning
        remember_peaks(module)
    rng = np.random.default_rng(config.seed)
    place: dict[str, Any] = {"dtype": module.w_rec.dtype, "device": device}
    # of held-out noise, of that without input, and of held-out trials
    seeds = [int(seed) for seed in rng.integers(1 << 62, size=3)]
    # a generator of its own: held-out trials are no draws that training will see
    trials = (held_out or source).draw(
        config.evaluate_trials, np.random.default_rng(seeds[2])
    )
    held = as_batch(trials, net, source, seed=seeds[0], **place)
    quiet = None
    if objective.at_rest:
        quiet = _quiet(net, config, seeds[1], place)
    learner = Learner(
        module=module,
        dynamics=_dynamics(net, unit, module, config, quantization),
        objective=objective,
        config=config,
        optimizer=optimizer_of(module, config),
        constraints=constraints_of(
            in_units(net, unit),
            dale=config.dale,
            sparse=config.sparse,
            like=module.w_rec.detach(),
        ),
        chance=torch.Generator(device=device).manual_seed(config.seed),
    )
    return Session(net, unit, learner, method, source, rng, held, quiet)


def optimizer_of(module: LIFModule, config: TuneConfig) -> torch.optim.Adam:
    """Return Adam with a group for each parameter: steps in its typical size."""
    sizes = typical_sizes(module)
    groups = [
        {
            "params": [part],
            "lr": config.learning_rate * sizes[name],
            "size": sizes[name],
            "name": name,
        }
        for name, part in module.named_parameters()
    ]
    # (U16): gradients of a parameter of typical size s are of order 1/s; so is ε
    optimizer = torch.optim.Adam(groups, eps=1e-12)
    for group in optimizer.param_groups:
        group["eps"] = 1e-8 / group["size"]
    return optimizer


def _device(name: str) -> torch.device:
    """Return a device that there is."""
    try:
        device = torch.device(name)
    except RuntimeError:  # no device's name at all
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device: got {name!r}, need cpu, cuda or cuda:<number>")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(
            f"device: got {name!r}, need one of the {count} that torch finds; use cpu"
        )
    return device


def _dynamics(
    net: LIFNetwork,
    unit: np.ndarray,
    module: LIFModule,
    config: TuneConfig,
    quantization: Quantization | None,
) -> Dynamics:
    if quantization is not None:
        return ChipDynamics(net, unit, *quantization)
    # the fused pass gives Norse's spikes in a fraction of the time, on the CPU alone
    fits = applies(module)
    if config.dynamics == "fused" and not fits:
        raise ValueError(
            f"dynamics: got 'fused' on {config.device}, need the CPU; use 'auto'"
        )
    return Fused() if fits and config.dynamics != "norse" else NorseLoop()


def _quiet(
    net: LIFNetwork, config: TuneConfig, seed: int, place: dict[str, Any]
) -> Batch:
    return silent_batch(
        net,
        trials=config.quiet_trials,
        length=config.quiet_length,
        settle=config.quiet_settle,
        seed=seed,
        **place,
    )


def identity(
    net: LIFNetwork,
    objective: Objective,
    config: TuneConfig,
    quantization: Quantization | None,
) -> dict[str, Any]:
    """Return what makes a tuning what it is, as JSON can hold it."""
    # a tuning may go on for longer than was asked for at first
    settings = describe_settings(config)
    return {
        "format": FORMAT,
        "network": net.fingerprint,
        "objective": digest(objective),
        "quantization": digest(quantization),
        **{name: value for name, value in settings.items() if name not in LASTING},
    }


def snapshot(session: Session) -> Checkpoint:
    """Return a copy of where a session stands."""
    learner, best = session.learner, session.best_evaluation
    groups = {
        "now": session.parameters(),
        "best": session.best,
        "method": session.method.state(),
    }
    for group in learner.optimizer.param_groups:
        moments = learner.optimizer.state[group["params"][0]]
        groups[f"adam.{group['name']}"] = moments
    arrays = {
        f"{group}.{name}": part.detach().cpu().numpy().copy()
        for group, parts in groups.items()
        for name, part in parts.items()
    }
    header = {
        "update": session.update,
        "rng": session.rng.bit_generator.state,
        "losses": list(session.losses),
        "evaluations": [e._asdict() for e in session.evaluations],
        "best": None if best is None else best.update,
    }
    # of weight noise and rounding; the trials' generator is plain, and in the header
    arrays["chance"] = learner.chance.get_state().numpy().copy()
    return Checkpoint(header, arrays)


def restore(session: Session, path: Path, run: dict[str, Any]) -> None:
    """Bring a session that has just begun to where a file's tuning stood.

    Args:
        session: of the same tuning; changed.
        path: a snapshot's, written by `write_checkpoint`.
        run: what the tuning is, from `identity`.

    Raises:
        ValueError: it belongs to another tuning.
        UnreadableFile: it is damaged.
    """
    checkpoint = read_checkpoint(path, run, "tuning")
    with damage_named(path, "tuning"):
        _fill(session, *checkpoint)


def _fill(
    session: Session, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    learner, device = session.learner, session.learner.module.w_rec.device

    def within(group: str, place: torch.device | None) -> dict[str, torch.Tensor]:
        """Return a group's tensors by their names in it."""
        head = f"{group}."
        return {
            name.removeprefix(head): torch.tensor(array, device=place)
            for name, array in arrays.items()
            if name.startswith(head)
        }

    def like(name: str, part: torch.Tensor) -> torch.Tensor:
        array = fitting(arrays[name], part.detach().cpu().numpy())
        return torch.tensor(array, device=part.device)

    # everything into the objects that `begin` made: they hold each other
    for name, part in learner.parameters().items():
        with torch.no_grad():
            part.copy_(like(f"now.{name}", part))
        if header["best"] is not None:
            session.best[name] = like(f"best.{name}", part)
    optimizer = learner.optimizer
    moments = {
        k: within(f"adam.{group['name']}", None)
        for k, group in enumerate(optimizer.param_groups)
    }
    # before the first update Adam has no moments at all
    state = {k: tensors for k, tensors in moments.items() if tensors}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    # a copy: torch 2.13 crashes on a state that is a part of another tensor
    learner.chance.set_state(torch.tensor(arrays["chance"]).clone())
    session.method.restore(within("method", device))
    session.rng.bit_generator.state = header["rng"]
    session.update = int(header["update"])
    session.losses[:] = [dict(parts) for parts in header["losses"]]
    session.evaluations[:] = [TuneEvaluation(**e) for e in header["evaluations"]]
    # the very one of the list, as where it was not interrupted
    for evaluation in session.evaluations:
        if evaluation.update == header["best"]:
            session.best_evaluation = evaluation
