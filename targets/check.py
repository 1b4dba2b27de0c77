"""What a target cannot hold of a network, and what is done about it: all at once."""

from collections.abc import Callable
from functools import partial

from isotau.convert import validation
from isotau.convert.findings import Finding
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.convert.lif import LIFNetwork
from isotau.convert.rate import RateRNN
from isotau.targets.check_lava import check_lava
from isotau.targets.check_loihi import check_loihi
from isotau.targets.check_nir import check_nir
from isotau.targets.check_onnx import check_onnx
from isotau.targets.chip.limits import LOIHI1, LOIHI2

Network = RateRNN | LIFNetwork | FixedPointNetwork
TARGETS: dict[str, Callable[[Network], list[Finding]]] = {
    "loihi1": partial(check_loihi, chip=LOIHI1),
    "loihi2": partial(check_loihi, chip=LOIHI2),
    "lava": check_lava,
    "nir": check_nir,
    "onnx": check_onnx,
}


def check(net: Network, target: str) -> list[Finding]:
    """Return every finding about a network for a target; nothing is left out.

    An error means that it cannot be handed over as it is, a warning that it can and
    will not be the same there, an info that something should be known.

    Args:
        net: a network of any stage.
        target: one of `TARGETS`.

    Raises:
        ValueError: another target.
    """
    return TARGETS[validation.choice("target", target, list(TARGETS))](net)
