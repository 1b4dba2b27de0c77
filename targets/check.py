"""What a target cannot hold of a network, and what is done about it: all at once."""

from collections.abc import Callable
from functools import partial

from isotau.convert.ground import validation
from isotau.convert.ground.errors import Finding
from isotau.convert.records.stage import Network
from isotau.targets.loihi.check_loihi import check_loihi
from isotau.targets.loihi.limits import LOIHI1, LOIHI2
from isotau.targets.nir_graph.check_nir import check_nir
from isotau.targets.on_lava.check_lava import check_lava
from isotau.targets.onnx_model.check_onnx import check_onnx

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
