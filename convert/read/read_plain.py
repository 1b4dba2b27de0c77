"""Reading isotau's plain `.npz`, made with numpy alone, and arrays by name at large.

    np.savez("net.npz", w_rec=w_rec, w_in=w_in, w_out=w_out,
             activation="tanh", dt=0.02, tau=0.1)

Keys are the fields of `RateRNN`, with its shapes and units (post × pre, seconds).
Needed: `w_in`, `w_out`, `w_rec` or both factors `m_vectors` and `n_vectors` (W_rec =
m nᵀ/N), and `activation`, `dt` and `tau` (one number, or one per unit), which may come
as arguments. Optional: `bias`, `b_out`, `x0`, `readout_bias`, `x0_std`, `noise_std`
(all zero), `dale` (mixed signs), `ceiling` (none), `shared_noise` (unit × source, what
each source of noise that units share adds to x in a step; none).
"""

import math
import os
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import MAX_ELEMENTS
from isotau.convert.ground.npz import read_npz
from isotau.convert.read.conventions import AssumedTiming, Read, conventions_of
from isotau.convert.records.rate import RateRNN

MAX_BYTES = 1 << 30
"""Of all arrays of a file together."""


class Arrays:
    """Arrays by name, each handed out only as what the network needs.

    It remembers which were asked for, so that none is dropped in silence.
    """

    def __init__(
        self,
        label: str,
        values: Mapping[str, npt.NDArray[Any]],
        ignored: Collection[str] = (),
    ) -> None:
        """Take the arrays, and names that were left out; `label` starts messages."""
        self.label = label
        self.values = dict(values)
        self.ignored = tuple(ignored)
        self.taken: set[str] = set()

    def __contains__(self, key: str) -> bool:
        """Return whether there is such an array."""
        return key in self.values

    def fail(self, key: str, got: object, need: str) -> UnreadableFile:
        """Return the error that names a key."""
        return UnreadableFile(f"{self.label}: {key}: got {got}, need {need}")

    def shape(self, key: str) -> tuple[int, ...]:
        """Return an array's shape; it has to be there."""
        if key not in self.values:
            raise self.fail(key, "nothing", "an array; is it another kind of file?")
        return tuple(self.values[key].shape)

    def take(
        self, key: str, shape: tuple[int | None, ...], layout: str
    ) -> npt.NDArray[np.float64]:
        """Return an array as float64; None in `shape` allows any length but 0."""
        lengths = self.shape(key)
        fits = len(lengths) == len(shape) and all(
            length == need if need is not None else length > 0
            for length, need in zip(lengths, shape, strict=True)
        )
        if not fits:
            need = " × ".join("any" if k is None else str(k) for k in shape)
            raise self.fail(key, f"shape {lengths}", f"{need or 'a number'} ({layout})")
        value = self.values[key]
        if value.dtype.kind not in "fiub":
            raise self.fail(key, f"dtype {value.dtype}", "real numbers")
        # Refused here, where the file's own name for it is known.
        if not np.isfinite(value).all():
            raise self.fail(key, "NaN or infinity", "finite numbers")
        self.taken.add(key)
        return np.array(value, dtype=np.float64)

    def vector(self, key: str, n: int) -> npt.NDArray[np.float64]:
        """Return a number per unit, also from a matrix of one row; zero if absent."""
        if key not in self.values:
            return np.zeros(n)
        # PsychRNN's start state and some biases of torch are a batch of one.
        shape = (1, n) if len(self.shape(key)) == 2 else (n,)
        return self.take(key, shape, "unit").reshape(n)

    def number(self, key: str) -> float:
        """Return an array of one element as a float."""
        return float(self.take(key, (1,) * len(self.shape(key)), "one number").item())

    def text(self, key: str) -> str:
        """Return an array that holds one text."""
        # numpy makes a 0-d array of a string; MATLAB's writers one of 1 × 1.
        value = self.values[key]
        if value.dtype.kind not in "US" or value.size != 1:
            raise self.fail(key, f"{value.dtype} of shape {value.shape}", "one text")
        self.taken.add(key)
        text = value.reshape(-1)[0]
        # Files that MATLAB or C wrote have bytes; damaged ones any bytes.
        return str(text.decode("ascii", "replace") if value.dtype.kind == "S" else text)

    def network(self, timing: AssumedTiming | None = None, /, **fields: Any) -> RateRNN:
        """Return the network of these fields; a refusal names the file.

        Args:
            timing: of a kind of file that states no time constants: one for all units,
                which may have any sign and start without scatter.
            fields: of `RateRNN`.

        Raises:
            UnreadableFile: `RateRNN` refuses one.
        """
        if timing is not None:
            n = len(fields["bias"])
            fields = {
                "dt": timing.dt,
                "tau": np.full(n, timing.tau),
                "dale": np.zeros(n, np.int8),
                "x0_std": 0.0,
            } | fields
        try:
            return RateRNN(**fields)
        except (TypeError, ValueError) as error:
            raise UnreadableFile(f"{self.label}: {error}") from error

    def unused(
        self, ignore: Collection[str] = (), known: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Return every name left out: not used, but known or to be ignored.

        A name to ignore stands for itself and for what begins with it and a dot.

        Raises:
            UnreadableFile: others are not used, or a name to ignore is not there.
        """
        # What is dropped in silence may be what makes the network work.
        unused = [key for key in self.values if key not in self.taken]
        absent = [k for k in ignore if not any(is_part(key, k) for key in unused)]
        if absent:
            raise self.fail("ignore", ", ".join(absent), "names that are not used")
        unknown = [
            key
            for key in unused
            if key not in known and not any(is_part(key, k) for k in ignore)
        ]
        if unknown:
            raise UnreadableFile(
                f"{self.label}: got {', '.join(unknown)}, need only what makes this "
                "kind of network; name in ignore what can be left out"
            )
        return (*self.ignored, *unused)


def is_part(key: str, name: str) -> bool:
    """Return whether a key is `name`, or belongs to the module of that name."""
    return key == name or key.startswith(f"{name}.")


def read_arrays(
    path: str | os.PathLike[str], *, skip_objects: Collection[str] = ()
) -> Arrays:
    """Return the arrays of an untrusted `.npz`; sizes are checked before reading.

    Nothing is unpickled. Arrays of Python objects are refused, but those named in
    `skip_objects` are left out.

    Raises:
        UnreadableFile: no `.npz`, damaged, too large, or with arrays of objects.
    """
    values = read_npz(
        path,
        max_bytes=MAX_BYTES,
        max_elements=MAX_ELEMENTS,
        skip_objects=skip_objects,
    )
    # Sizes were checked before; what the arrays mean is for the reader to check.
    return Arrays(str(path), values)


def read_plain(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    tau: float | None = None,
    noise_std: float | None = None,
    activation: str | None = None,
) -> Read:
    """Return the network of a plain `.npz`, whose keys this module describes.

    Arguments take the place of what the file says.

    Args:
        path: of the file.
        dt: step, in seconds.
        tau: time constant of every unit, in seconds.
        noise_std: standard deviation of the noise added to x in every step.
        activation: one of `isotau.convert.records.rate.ACTIVATIONS`.

    Raises:
        UnreadableFile: a key is missing, unknown, or not what it has to be.
    """
    at = read_arrays(path)
    w_in = at.take("w_in", (None, None), "post × input")
    n = len(w_in)
    w_out = at.take("w_out", (None, n), "output × unit")
    # Both kept apart, so that the conventions can say who said what.
    arguments = {"dt": dt, "tau": tau, "noise_std": noise_std, "activation": activation}
    stated = {
        "dt": at.number("dt") if "dt" in at else None,
        "tau": _tau(at, n) if "tau" in at else None,
        "noise_std": at.number("noise_std") if "noise_std" in at else None,
        "activation": at.text("activation") if "activation" in at else None,
    }
    settings: dict[str, Any] = {"noise_std": 0.0}
    # The caller overrules the file; only noise may be left to a default.
    for key, argument in arguments.items():
        if argument is not None or stated[key] is not None:
            settings[key] = stated[key] if argument is None else argument
        elif key != "noise_std":
            raise at.fail(key, "nothing", "it in the file or as an argument")
    lengths = dict.fromkeys(("bias", "x0", "readout_bias", "dale"), n)
    lengths["b_out"] = len(w_out)
    net = at.network(
        w_in=w_in,
        w_out=w_out,
        **_recurrence(at, n),
        **{
            key: at.take(key, (length,), "vector") if key in at else np.zeros(length)
            for key, length in lengths.items()
        },
        x0_std=at.number("x0_std") if "x0_std" in at else 0.0,
        ceiling=at.number("ceiling") if "ceiling" in at else None,
        **(
            {"shared_noise": at.take("shared_noise", (n, None), "unit × source")}
            if "shared_noise" in at
            else {}
        ),
        **settings | {"tau": np.broadcast_to(np.asarray(settings["tau"]), (n,))},
    )
    at.unused()  # raises for a key that is none of `RateRNN`
    # A step longer than τ would have x overshoot its target (R2).
    if (net.dt > net.tau).any():
        raise at.fail("dt", f"{net.dt:g}", f"at most tau, {net.tau.min():g} s")
    sources = {
        "noise" if key == "noise_std" else key: _source(argument, stated[key])
        for key, argument in arguments.items()
    }
    # α follows from two numbers and is the file's only if both are.
    by_file = sources["dt"][0] == sources["tau"][0] == "file"
    sources["alpha"] = ("file" if by_file else "argument", "from dt and tau")
    sources["transposes"] = ("default", "")
    values = {"transposes": "none: weights are post × pre"}
    return Read(net, conventions_of(net, "plain .npz", sources, values))


def _source(argument: object, stated: object) -> tuple[str, str]:
    """Return who said it, and whether the file is overruled."""
    if argument is None:
        return "default" if stated is None else "file", ""
    return "argument", "" if stated is None else "in place of the file's"


def _tau(at: Arrays, n: int) -> npt.NDArray[np.float64]:
    """Return τ of each unit; the file has one for all, or one each."""
    if math.prod(at.shape("tau")) == 1:  # a number, or an array of one
        return np.full(n, at.number("tau"))
    return at.take("tau", (n,), "unit")


def _recurrence(at: Arrays, n: int) -> dict[str, npt.NDArray[np.float64]]:
    """Return w_rec, and the factors if the file has them (R9)."""
    names = ("m_vectors", "n_vectors")
    if not any(name in at for name in names):
        return {"w_rec": at.take("w_rec", (n, n), "post × pre")}
    factors = {name: at.take(name, (n, None), "unit × rank") for name in names}
    if "w_rec" in at:
        return {"w_rec": at.take("w_rec", (n, n), "post × pre"), **factors}
    n_vectors = at.take("n_vectors", factors["m_vectors"].shape, "as m_vectors")
    return {"w_rec": factors["m_vectors"] @ n_vectors.T / n, **factors}
