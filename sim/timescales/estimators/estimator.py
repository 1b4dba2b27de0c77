"""The estimators of timescales by name.

To add one: a module with a function that takes a `Source` first and the rest by
keyword, and returns `Timescales` (from a correlation and its fit by
`isotau.sim.timescales.estimators.judge`); and a row of `ESTIMATORS`.
"""

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isotau.sim.timescales.records.record import Timescales
    from isotau.sim.timescales.records.series import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimator:
    """A method that gives each neuron a timescale, or says why it has none.

    Attributes:
        function: "module:function", imported on use: most need scipy or numba.
        width: its option for the width of a bin, in seconds; None where published
            rules fix it.
        progress: whether it takes an option of this name.
        chance: share of Poisson neurons, which have no timescale, that it gives one.
    """

    function: str
    width: str | None = "bin_width"
    progress: bool = False
    chance: float = 0.10

    def __call__(self, source: "Source", **settings: Any) -> "Timescales":
        """Return the timescales of a source's neurons."""
        # A table of names is light; what a row needs comes with its first use.
        timescales: Timescales = resolve_name(self.function)(source, **settings)
        return timescales


_HERE = "isotau.sim.timescales.estimators"
# The default first; the command line lists them in this order.
ESTIMATORS = {
    "ml": Estimator(function=f"{_HERE}.ml:ml", progress=True, chance=0.01),
    "exponential": Estimator(function=f"{_HERE}.exponential:exponential"),
    "kim": Estimator(function=f"{_HERE}.kim:kim"),
    "kim_pfc": Estimator(function=f"{_HERE}.pfc:kim_pfc", width=None),
    "direct": Estimator(function=f"{_HERE}.direct_fit:direct"),
    "acw": Estimator(function=f"{_HERE}.acw:acw"),
    "integral": Estimator(function=f"{_HERE}.acw:integral"),
    "sttc": Estimator(function=f"{_HERE}.sttc:sttc", width="lag"),
}
"""By the name that the command line knows and `Timescales.method` begins with."""
