"""What a reader assumed of a network, and where each assumption came from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import choice, number
from isotau.convert.records.rate import RateRNN

SOURCES = ("file", "argument", "default")
"""Who said it: the file (or module) itself, the caller, or the reader."""
NEEDED = ("alpha", "dt", "tau", "transposes", "activation", "noise")
"""What every reader states; further conventions may follow."""
RELATIVE = 1e-6
"""How far alpha may be from dt/tau when all three are given."""
NO_RATE = -40.0
"""x at which sigmoid and softplus are zero to double precision."""


class Convention(NamedTuple):
    """One thing that a reader took for granted.

    Attributes:
        name: what it is about, such as "dt" or "readout".
        value: what was taken, with its unit.
        source: one of `SOURCES`.
        note: why, or what else could have been meant; may be empty.
    """

    name: str
    value: str
    source: str
    note: str = ""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True)
class Conventions:
    """Everything that a reader assumed of one network.

    Attributes:
        family: which kind of file or module it was.
        items: one each for `NEEDED`, and what else there was to assume.
        ignored: names in the file that make no part of the network.
    """

    family: str
    items: tuple[Convention, ...]
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that what every reader states is there, once, and with its source."""
        # A reader that stays silent about one of them would leave users to guess.
        names = [item.name for item in self.items]
        if not set(NEEDED) <= set(names) or len(set(names)) < len(names):
            raise ValueError(
                f"items: got {', '.join(names)}, need each of {', '.join(NEEDED)} and "
                "nothing twice"
            )
        for item in self.items:
            choice(f"source of {item.name}", item.source, SOURCES)

    def find(self, name: str) -> Convention:
        """Return the convention of that name.

        Raises:
            ValueError: there is none.
        """
        names = [item.name for item in self.items]
        return self.items[names.index(choice("name", name, names))]

    def describe(self) -> str:
        """Return the family, then every convention and ignored name, one a line."""
        lines = [f"read as: {self.family}"]
        for item in self.items:
            note = f"; {item.note}" if item.note else ""
            lines.append(f"{item.name}: {item.value} ({item.source}{note})")
        lines += [f"ignored: {name}" for name in self.ignored]
        return "\n".join(lines)


class Assumptions(TypedDict, total=False):
    """What a caller may say of a network whose file leaves it open; None for nothing.

    Attributes:
        alpha: dt/tau.
        dt: step, in seconds.
        tau: time constant of every unit, in seconds.
        noise_std: standard deviation of the noise added to x in every step.
    """

    alpha: float | None
    dt: float | None
    tau: float | None
    noise_std: float | None


class StateAssumptions(Assumptions, total=False):
    """What a caller may say of a file of arrays alone; None for nothing.

    Attributes:
        activation: φ, one of `isotau.convert.records.rate.ACTIVATIONS`.
        ignore: names in the file to leave out.
    """

    activation: str | None
    ignore: Collection[str] | None


def check_assumptions(assumed: Assumptions, kind: type[Assumptions]) -> None:
    """Refuse assumptions of another name than those of a kind, misspelt ones too.

    Raises:
        TypeError: as for any argument that a function does not have.
    """
    unknown = [name for name in assumed if name not in kind.__annotations__]
    if unknown:
        raise TypeError(
            f"assumptions: got {', '.join(unknown)}, need of "
            f"{', '.join(kind.__annotations__)}"
        )


@short_repr
class Read(NamedTuple):
    """What a reader returns: the network, and what was assumed of it."""

    net: RateRNN
    conventions: Conventions


def conventions_of(
    net: RateRNN,
    family: str,
    sources: Mapping[str, Sequence[str]] = MappingProxyType({}),
    values: Mapping[str, str] = MappingProxyType({}),
    more: Sequence[Convention] = (),
) -> Conventions:
    """Return the conventions of a network that its file states.

    Args:
        net: the network.
        family: which kind of file it was.
        sources: source, and if there is one the note, of those of `NEEDED` that the
            file does not state.
        values: in place of what the network itself says.
        more: conventions beyond `NEEDED`.
    """
    # α is dt/τ whatever the file calls it (R10).
    settings = {
        "alpha": span(net.dt / net.tau),
        "dt": f"{net.dt:g} s",
        "tau": span(net.tau, " s"),
        "transposes": "none: all weights are post × pre",
        "activation": net.activation,
        "noise": f"{net.noise_std:g} per step"
        + (
            f", and {net.shared_noise.shape[1]} sources that units share"
            if net.shared_noise.size
            else ""
        ),
    }
    items = [
        Convention(name, values.get(name, value), *sources.get(name, ("file",)))
        for name, value in settings.items()
    ]
    return Conventions(family=family, items=(*items, *more))


class AssumedTiming(NamedTuple):
    """A step and a time constant in seconds, and how they came about."""

    dt: float
    tau: float
    items: tuple[Convention, ...]


def settle_timing(
    assumed: Assumptions, *, usual_alpha: float, usual_dt: float
) -> AssumedTiming:
    """Return dt and tau of a network whose file states neither; alpha = dt/tau (R10).

    alpha belongs to the trained weights, so the usual one stays unless two of the three
    are given or alpha itself is: dt or tau alone only sets the clock.

    Args:
        assumed: of which alpha, the part of the way to its target that x goes in a
            step, 0 < alpha ≤ 1; dt and tau.
        usual_alpha: where fewer than two are given and alpha is not.
        usual_dt: where neither dt nor tau is given, in seconds.

    Raises:
        ValueError: one is out of range, or the three contradict each other.
    """
    arguments: dict[str, Any] = {k: assumed.get(k) for k in ("alpha", "dt", "tau")}
    stated = {
        name: number(name, value, positive=True)
        for name, value in arguments.items()
        if value is not None
    }
    # Any two of the three fix the third, so what is usual fills up to two.
    usual = {"alpha": usual_alpha, "dt": usual_dt}
    settled = dict(stated)
    for name, value in usual.items():
        if len(settled) < 2:
            settled.setdefault(name, value)
    step = settled["dt"] if "dt" in settled else settled["alpha"] * settled["tau"]
    constant = settled["tau"] if "tau" in settled else step / settled["alpha"]
    # Rounding of decimal seconds may put alpha just above 1.
    share = step / constant
    if share > 1 + RELATIVE:
        raise ValueError(
            f"alpha: got {share:g} = dt/tau, need at most 1; times are in seconds"
        )
    if abs(settled.get("alpha", share) - share) > RELATIVE * share:
        raise ValueError(
            f"alpha: got {settled['alpha']:g} beside dt = {step:g} s and tau = "
            f"{constant:g} s, need dt/tau = {share:g}; give two of the three"
        )
    values = {"alpha": f"{share:g}", "dt": f"{step:g} s", "tau": f"{constant:g} s"}
    items = []
    for name, text in values.items():
        pair = [other for other in arguments if other != name]
        # What follows from two arguments is the caller's word, too.
        argued = name in stated or set(pair) <= set(stated)
        note = "" if name in settled else f"from {' and '.join(pair)}"
        items.append(Convention(name, text, "argument" if argued else "default", note))
    return AssumedTiming(step, constant, tuple(items))


def settle_noise(
    assumed: Assumptions, usual: float, scale: str = "per step"
) -> tuple[float, Convention]:
    """Return the standard deviation of the noise, and what was assumed of it.

    Args:
        assumed: of which `noise_std`.
        usual: where the caller does not say.
        scale: what follows the number in the convention.
    """
    argument = assumed.get("noise_std")
    noise = usual if argument is None else argument
    return noise, Convention("noise", f"{noise:g} {scale}", whose(argument))


def start_state(
    h0: Float64[np.ndarray, " n"], activation: str, alpha: float
) -> Float64[np.ndarray, " n"]:
    """Return x with φ(x) = h0, to double precision.

    Where the rates of sigmoid and softplus are zero and x is remembered (alpha < 1), it
    is 0 instead: no x has that rate, and a far one would take many steps to return.

    Raises:
        UnreadableFile: φ does not reach h0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        # (R12)
        match activation:
            case "tanh":
                x = np.arctanh(h0)
            case "sigmoid":
                x = np.log(h0) - np.log1p(-h0)
            case "softplus":
                x = np.log(np.expm1(h0))
            case _:  # relu, which has no negative rates
                x = np.where(h0 >= 0, h0, np.nan)
    # x = −∞ has rate 0; what is forgotten in one step may as well be far below.
    if activation in ("sigmoid", "softplus"):
        x = np.where(h0 == 0, NO_RATE if alpha == 1 else 0.0, x)
    if not np.isfinite(x).all():
        raise UnreadableFile(
            f"initial state: got {h0[~np.isfinite(x)][0]:g}, need rates that "
            f"{activation} has"
        )
    return x


def span(values: Float64[np.ndarray, " n"], unit: str = "") -> str:
    """Return an array as "low to high", or as one number where all are equal."""
    # Six digits: what users compare with the file's documentation.
    low, high = float(values.min()), float(values.max())
    return f"{low:g}{unit}" if low == high else f"{low:g} to {high:g}{unit}"


def whose(argument: object) -> str:
    """Return "argument" if there is one, else "default"."""
    # 0 and False are arguments like any other.
    return "default" if argument is None else "argument"
