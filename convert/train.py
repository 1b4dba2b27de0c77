"""Training a rate network under Dale's law, with trainable time constants, in torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from isotau.convert import validation
from isotau.convert.progress import Progress, silent
from isotau.convert.rate import ACTIVATIONS, RateRNN
from isotau.convert.rate_dynamics import INITIAL_STD, simulate_rate
from isotau.convert.trials import Trials

Draw = Callable[[int, np.random.Generator], Trials]
Score = Callable[[Any, Trials], np.ndarray]
_ACTIVATE: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": lambda x: x.clamp(0.0, 20.0),
    "softplus": lambda x: torch.nn.functional.softplus(x).clamp(max=20.0),
}
"""The activations of `rate.activate`, for torch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How a rate network is made and trained.

    The published recipe, except for batches (it took one trial per update), more noise
    in training, and a stricter stop rule (it had 100 trials with a loss below 7 and an
    accuracy above 0.95, once, after 1500 trials).

    Attributes:
        n: number of units.
        p_inh: probability that a unit is inhibitory.
        p_rec: probability of a connection at the start; absent ones stay absent.
        gain: g, scales the initial weights |N(0, 1)| · g/√(n · p_rec).
        inhibition: factor on the initial weights of inhibitory units; 4 about balances
            excitation at p_inh 0.2, which harder tasks than Go-NoGo need.
        tau_min: lower end of the range of τ, in seconds.
        tau_max: its upper end; equal to `tau_min` for a fixed τ.
        activation: one of `rate.ACTIVATIONS`.
        noise_std: standard deviation of the noise added to x in every step.
        training_noise_std: the same while training; more than `noise_std` makes
            attractors that also withstand the noise of spikes after conversion.
        batch: trials per update.
        learning_rate: of Adam.
        max_iterations: updates after which training ends without success.
        min_trials: trials seen before training may stop.
        evaluate_every: updates between two evaluations.
        evaluate_trials: fresh trials per evaluation.
        stop_loss: an evaluation passes if its loss is below this,
        stop_accuracy: and its accuracy at least this.
        stop_after: passes in a row after which training stops.
    """

    n: int = 200
    p_inh: float = 0.2
    p_rec: float = 0.2
    gain: float = 1.5
    inhibition: float = 1.0
    tau_min: float = 0.020
    tau_max: float = 0.100
    activation: str = "sigmoid"
    noise_std: float = 0.1
    training_noise_std: float = 0.3
    batch: int = 32
    learning_rate: float = 0.01
    max_iterations: int = 1000
    min_trials: int = 12_800
    evaluate_every: int = 20
    evaluate_trials: int = 100
    stop_loss: float = 2.0
    stop_accuracy: float = 0.99
    stop_after: int = 3

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("n", "batch", "evaluate_every", "evaluate_trials", "stop_after"):
            validation.whole(name, getattr(self, name), 1, 1 << 20)
        for name in ("max_iterations", "min_trials"):
            validation.whole(name, getattr(self, name), 0, 1 << 30)
        for name in ("gain", "tau_min", "tau_max", "learning_rate", "stop_loss"):
            validation.number(name, getattr(self, name), positive=True)
        for name in ("inhibition", "noise_std", "training_noise_std"):
            validation.number(name, getattr(self, name), minimum=0)
        for name in ("p_inh", "p_rec", "stop_accuracy"):
            if validation.number(name, getattr(self, name), minimum=0) > 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, need 0 to 1")
        if self.tau_max < self.tau_min:
            raise ValueError(
                f"tau_max: got {self.tau_max} s, need at least {self.tau_min} (tau_min)"
            )
        validation.choice("activation", self.activation, ACTIVATIONS)


class Evaluation(NamedTuple):
    """How a network did on fresh trials after some updates."""

    iteration: int
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network and how it came about.

    Attributes:
        net: the network after the last update.
        losses: loss of every update, before it.
        evaluations: in order.
        converged: whether the stop rule was met.
    """

    net: RateRNN
    losses: Float64[np.ndarray, " iterations"]
    evaluations: tuple[Evaluation, ...]
    converged: bool


class Parameters(NamedTuple):
    """Weight magnitudes, τ's place in its range, the readout; signs and w_in fixed."""

    w: Tensor
    taus_gaus: Tensor
    w_out: Tensor
    b_out: Tensor
    signs: Tensor
    w_in: Tensor

    @property
    def trained(self) -> list[Tensor]:
        """Those that the optimizer changes."""
        return [self.w, self.taus_gaus, self.w_out, self.b_out]


def train(
    draw: Draw,
    score: Score,
    config: TrainConfig,
    *,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> Trained:
    """Return a rate network trained on a task.

    Loss: √Σ_t (z_t − o_t)² over the masked steps and outputs of a trial, meaned over
    the batch; o_t is the output after input t was taken. Adam, no clipping. Negative
    weights count as 0, so that Dale's law holds exactly.
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, equations 4 to 9.

    Args:
        draw: returns trials of the task.
        score: returns which trials were right; the stop rule looks at it.
        config: how.
        rng: source of everything drawn. The same state gives the same network on the
            same machine with the same number of torch threads.
        progress: is given the updates as they pass.
    """
    chance = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    first = draw(1, rng)
    parameters = initial(config, first, chance)
    adam = torch.optim.Adam(parameters.trained, lr=config.learning_rate)
    losses: list[float] = []
    evaluations: list[Evaluation] = []
    for k in progress(range(config.max_iterations), "training"):
        loss = update_loss(parameters, config, draw(config.batch, rng), chance)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
        if (k + 1) % config.evaluate_every == 0:
            net = as_rate_rnn(parameters, config, first.dt)
            seen = draw(config.evaluate_trials, rng)
            evaluations.append(Evaluation(k + 1, *evaluate(net, seen, score, rng=rng)))
            if _may_stop(evaluations, config):
                break
    return Trained(
        net=as_rate_rnn(parameters, config, first.dt),
        losses=np.array(losses),
        evaluations=tuple(evaluations),
        converged=_may_stop(evaluations, config),
    )


def initial(config: TrainConfig, trials: Trials, chance: torch.Generator) -> Parameters:
    """Return a network before training, for trials like these; `chance` is drawn from.

    W_in ~ N(0, 1), W_out ~ N(0, 0.01²), taus_gaus ~ N(0, 1); see `TrainConfig` for W.
    """
    n, n_in, n_out = config.n, trials.inputs.shape[2], trials.targets.shape[2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=chance)

    signs = 1.0 - 2.0 * (torch.rand(n, generator=chance) < config.p_inh).float()
    present = torch.rand((n, n), generator=chance) < config.p_rec
    scale = config.gain / max(n * config.p_rec, 1.0) ** 0.5
    strength = torch.where(signs < 0, config.inhibition, 1.0)
    parameters = Parameters(
        w=normal(n, n).abs() * present * scale * strength,
        taus_gaus=normal(n),
        w_out=normal(n_out, n) / 100,
        b_out=torch.zeros(n_out),
        signs=signs,
        w_in=normal(n, n_in),
    )
    for tensor in parameters.trained:
        tensor.requires_grad_()
    return parameters


def update_loss(
    parameters: Parameters, config: TrainConfig, trials: Trials, chance: torch.Generator
) -> Tensor:
    """Return the loss of a batch, to be differentiated; `chance` makes the noise."""
    rates = _unroll(parameters, config, trials, chance)
    outputs = rates @ parameters.w_out.T + parameters.b_out
    error = (outputs - torch.from_numpy(trials.targets.astype(np.float32))) ** 2
    counted = torch.from_numpy(trials.mask.astype(np.float32))
    squares = (error.sum(dim=2) * counted).sum(dim=0)
    return (squares + 1e-12).sqrt().mean()  # √ has no finite slope at 0


def evaluate(
    net: RateRNN, trials: Trials, score: Score, *, rng: np.random.Generator
) -> tuple[float, float]:
    """Return a network's loss and accuracy on trials, its noise on."""
    outputs = simulate_rate(net, trials.inputs, rng=rng).outputs
    error = ((outputs - trials.targets) ** 2).sum(axis=2) * trials.mask
    loss = np.sqrt(error.sum(axis=0)).mean()
    return float(loss), float(np.mean(score(outputs, trials)))


def as_rate_rnn(parameters: Parameters, config: TrainConfig, dt: float) -> RateRNN:
    """Return the parameters as a network of their own."""

    def array(tensor: Tensor) -> np.ndarray:
        return tensor.detach().double().numpy()

    return RateRNN(
        w_rec=array(_signed(parameters)),
        w_in=array(parameters.w_in),
        w_out=array(parameters.w_out),
        bias=np.zeros(config.n),
        b_out=array(parameters.b_out),
        tau=array(_tau(parameters, config)),
        dale=array(parameters.signs),
        activation=config.activation,
        noise_std=config.noise_std,
        dt=dt,
    )


def _signed(parameters: Parameters) -> Tensor:
    """Return W, post × pre; adding 0 turns the −0 of a missing connection into 0.

    relu has no slope at 0, where clamp has one: missing connections stay missing.
    """
    return torch.relu(parameters.w) * parameters.signs + 0.0


def _tau(parameters: Parameters, config: TrainConfig) -> Tensor:
    """Return τ of each unit, in seconds."""
    span = config.tau_max - config.tau_min
    return torch.sigmoid(parameters.taus_gaus) * span + config.tau_min


def _unroll(
    parameters: Parameters, config: TrainConfig, trials: Trials, chance: torch.Generator
) -> Tensor:
    """Return rates after each step; the equations are `simulate_rate`'s."""
    gain = trials.dt / _tau(parameters, config)
    keep, recurrent = 1.0 - gain, _signed(parameters).T * gain
    inputs = torch.from_numpy(trials.inputs.astype(np.float32))
    shape = (trials.batch, config.n)
    x = INITIAL_STD * torch.randn(shape, generator=chance)
    noise = torch.randn((trials.steps, *shape), generator=chance)
    drives = inputs @ parameters.w_in.T * gain + noise * config.training_noise_std
    r = _ACTIVATE[config.activation](x)
    rates = []
    # unbind: indexing a tensor in every step would cost quadratic memory and time.
    for drive in drives.unbind(0):
        x = torch.addmm(keep * x + drive, r, recurrent)
        r = _ACTIVATE[config.activation](x)
        rates.append(r)
    return torch.stack(rates)


def _may_stop(evaluations: list[Evaluation], config: TrainConfig) -> bool:
    last = evaluations[-config.stop_after :]
    seen = last[-1].iteration * config.batch if last else 0
    passed = [
        e.loss < config.stop_loss and e.accuracy >= config.stop_accuracy for e in last
    ]
    return seen > config.min_trials and sum(passed) == config.stop_after
