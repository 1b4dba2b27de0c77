"""Arrays that a file holds by name, and isotau's plain `.npz`, made with numpy alone.

    np.savez("net.npz", w_rec=w_rec, w_in=w_in, w_out=w_out,
             activation="tanh", dt=0.02, tau=0.1)

Keys are the fields of `RateRNN`, with its shapes and units (post × pre, seconds).
Needed: `w_in`, `w_out`, `w_rec` or both factors `m_vectors` and `n_vectors` (W_rec =
m nᵀ/N), and `activation`, `dt` and `tau` (one number, or one per unit), which may come
as arguments. Optional: `bias`, `b_out`, `x0`, `readout_bias`, `x0_std`, `noise_std`
(all zero), `dale` (mixed signs), `ceiling` (none).
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
from isotau.convert.read.conventions import Convention, Conventions, Read, span
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
        got = self.shape(key)
        fits = len(got) == len(shape) and all(
            have == want if want is not None else have > 0
            for have, want in zip(got, shape, strict=True)
        )
        if not fits:
            need = " × ".join("any" if k is None else str(k) for k in shape)
            raise self.fail(key, f"shape {got}", f"{need or 'a number'} ({layout})")
        value = self.values[key]
        if value.dtype.kind not in "fiub":
            raise self.fail(key, f"dtype {value.dtype}", "real numbers")
        if not np.isfinite(value).all():
            raise self.fail(key, "NaN or infinity", "finite numbers")
        self.taken.add(key)
        return np.array(value, dtype=np.float64)

    def number(self, key: str) -> float:
        """Return an array of one element as a float."""
        return float(self.take(key, (1,) * len(self.shape(key)), "one number").item())

    def text(self, key: str) -> str:
        """Return an array that holds one text."""
        value = self.values[key]
        if value.dtype.kind not in "US" or value.size != 1:
            raise self.fail(key, f"{value.dtype} of shape {value.shape}", "one text")
        self.taken.add(key)
        found = value.reshape(-1)[0]
        return (
            found.decode("ascii", "replace") if value.dtype.kind == "S" else str(found)
        )

    def network(self, **fields: Any) -> RateRNN:
        """Return the network of these fields; a refusal names the file."""
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
        left = [key for key in self.values if key not in self.taken]
        absent = [k for k in ignore if not any(is_part(key, k) for key in left)]
        if absent:
            raise self.fail("ignore", ", ".join(absent), "names that are not used")
        unknown = [
            key
            for key in left
            if key not in known and not any(is_part(key, k) for k in ignore)
        ]
        if unknown:
            raise UnreadableFile(
                f"{self.label}: got {', '.join(unknown)}, need only what makes this "
                "kind of network; name in ignore what can be left out"
            )
        return (*self.ignored, *left)


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
    arguments = {"dt": dt, "tau": tau, "noise_std": noise_std, "activation": activation}
    stated = {
        "dt": at.number("dt") if "dt" in at else None,
        "tau": _tau(at, n) if "tau" in at else None,
        "noise_std": at.number("noise_std") if "noise_std" in at else None,
        "activation": at.text("activation") if "activation" in at else None,
    }
    chosen: dict[str, Any] = {"noise_std": 0.0}
    for key, argument in arguments.items():
        if argument is not None or stated[key] is not None:
            chosen[key] = stated[key] if argument is None else argument
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
        **chosen | {"tau": np.broadcast_to(np.asarray(chosen["tau"]), (n,))},
    )
    at.unused()
    if (net.dt > net.tau).any():
        raise at.fail("dt", f"{net.dt:g}", f"at most tau, {net.tau.min():g} s")
    return Read(net, _conventions(net, arguments, stated))


def _tau(at: Arrays, n: int) -> npt.NDArray[np.float64]:
    """Return τ of each unit; the file has one for all, or one each."""
    if math.prod(at.shape("tau")) == 1:
        return np.full(n, at.number("tau"))
    return at.take("tau", (n,), "unit")


def _recurrence(at: Arrays, n: int) -> dict[str, npt.NDArray[np.float64]]:
    """Return w_rec, and the factors if the file has them."""
    names = ("m_vectors", "n_vectors")
    if not any(name in at for name in names):
        return {"w_rec": at.take("w_rec", (n, n), "post × pre")}
    found = {name: at.take(name, (n, None), "unit × rank") for name in names}
    if "w_rec" in at:
        return {"w_rec": at.take("w_rec", (n, n), "post × pre"), **found}
    n_vectors = at.take("n_vectors", found["m_vectors"].shape, "as m_vectors")
    return {"w_rec": found["m_vectors"] @ n_vectors.T / n, **found}


def _conventions(
    net: RateRNN, arguments: Mapping[str, object], stated: Mapping[str, object]
) -> Conventions:
    """Return what was assumed of a plain file, and by whom."""

    def source(key: str) -> tuple[str, str]:
        if arguments[key] is None:
            return ("default" if stated[key] is None else "file"), ""
        return "argument", "" if stated[key] is None else "in place of the file's"

    dt, tau = source("dt"), source("tau")
    both = "file" if dt[0] == tau[0] == "file" else "argument"
    return Conventions(
        family="plain .npz",
        items=(
            Convention("alpha", span(net.dt / net.tau), both, "from dt and tau"),
            Convention("dt", f"{net.dt:g} s", *dt),
            Convention("tau", span(net.tau, " s"), *tau),
            Convention("transposes", "none: weights are post × pre", "default"),
            Convention("activation", net.activation, *source("activation")),
            Convention("noise", f"{net.noise_std:g} per step", *source("noise_std")),
        ),
    )
