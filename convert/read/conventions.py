"""What a reader assumed of a network, and where each assumption came from."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.representation import short_repr
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
        """Check that all that every reader states is said, once, and by whom."""
        names = [item.name for item in self.items]
        if not set(NEEDED) <= set(names) or len(set(names)) < len(names):
            raise ValueError(
                f"items: got {', '.join(names)}, need each of {', '.join(NEEDED)} and "
                "nothing twice"
            )
        for item in self.items:
            validation.choice(f"source of {item.name}", item.source, SOURCES)

    def find(self, name: str) -> Convention:
        """Return the convention of that name.

        Raises:
            ValueError: there is none.
        """
        names = [item.name for item in self.items]
        return self.items[names.index(validation.choice("name", name, names))]

    def describe(self) -> str:
        """Return the family, then every convention and ignored name, one a line."""
        lines = [f"read as: {self.family}"]
        for item in self.items:
            note = f"; {item.note}" if item.note else ""
            lines.append(f"{item.name}: {item.value} ({item.source}{note})")
        lines += [f"ignored: {name}" for name in self.ignored]
        return "\n".join(lines)


@short_repr
class Read(NamedTuple):
    """What a reader returns: the network, and what was assumed of it."""

    net: RateRNN
    conventions: Conventions


class Timing(NamedTuple):
    """A step and a time constant in seconds, and how they came about."""

    dt: float
    tau: float
    items: tuple[Convention, ...]


def settle_timing(
    *,
    alpha: float | None,
    dt: float | None,
    tau: float | None,
    usual_alpha: float,
    usual_dt: float,
) -> Timing:
    """Return dt and tau of a network whose file states neither; alpha = dt/tau.

    alpha belongs to the trained weights, so the usual one stays unless two of the three
    are given or alpha itself is: dt or tau alone only sets the clock.

    Args:
        alpha: part of the way to its target that x goes in a step, 0 < alpha ≤ 1.
        dt: step, in seconds.
        tau: time constant, in seconds.
        usual_alpha: where fewer than two are given and alpha is not.
        usual_dt: where neither dt nor tau is given, in seconds.

    Raises:
        ValueError: one is out of range, or the three contradict each other.
    """
    given = {
        name: validation.number(name, value, positive=True)
        for name, value in (("alpha", alpha), ("dt", dt), ("tau", tau))
        if value is not None
    }
    if len(given) < 2:
        given.setdefault("alpha", usual_alpha)
    if len(given) < 2:
        given["dt"] = usual_dt
    step = given["dt"] if "dt" in given else given["alpha"] * given["tau"]
    constant = given["tau"] if "tau" in given else step / given["alpha"]
    share = step / constant
    if share > 1 + RELATIVE:
        raise ValueError(
            f"alpha: got {share:g} = dt/tau, need at most 1; times are in seconds"
        )
    if abs(given.get("alpha", share) - share) > RELATIVE * share:
        raise ValueError(
            f"alpha: got {given['alpha']:g} beside dt = {step:g} s and tau = "
            f"{constant:g} s, need dt/tau = {share:g}; give two of the three"
        )
    said = {"alpha": alpha, "dt": dt, "tau": tau}
    values = {"alpha": f"{share:g}", "dt": f"{step:g} s", "tau": f"{constant:g} s"}
    items = []
    for name, value in values.items():
        others = [other for other in said if other != name]
        told = said[name] is not None or all(said[k] is not None for k in others)
        note = "" if name in given else f"from {' and '.join(others)}"
        items.append(Convention(name, value, "argument" if told else "default", note))
    return Timing(step, constant, tuple(items))


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
        match activation:
            case "tanh":
                x = np.arctanh(h0)
            case "sigmoid":
                x = np.log(h0) - np.log1p(-h0)
            case "softplus":
                x = np.log(np.expm1(h0))
            case _:
                x = np.where(h0 >= 0, h0, np.nan)
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
    low, high = float(values.min()), float(values.max())
    return f"{low:g}{unit}" if low == high else f"{low:g} to {high:g}{unit}"


def whose(argument: object) -> str:
    """Return "argument" if there is one, else "default"."""
    return "default" if argument is None else "argument"
