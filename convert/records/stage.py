"""The stages of a network: rate, LIF and fixed point, and commands that need one."""

import os

from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN

FloatNetwork = RateRNN | LIFNetwork
SpikingNetwork = LIFNetwork | FixedPointNetwork
Network = RateRNN | LIFNetwork | FixedPointNetwork
STAGES: dict[str, type[Network]] = {
    "rate": RateRNN,
    "lif": LIFNetwork,
    "fixed": FixedPointNetwork,
}
"""By the name that files and reports give them."""


def stage_name(net: Network) -> str:
    """Return "rate", "lif" or "fixed"."""
    return next(name for name, kind in STAGES.items() if type(net) is kind)


def need_lif(net: Network, path: str | os.PathLike[str]) -> LIFNetwork:
    """Return a network that is one of LIF neurons.

    Args:
        net: the network.
        path: of its file, for the message.

    Raises:
        ValueError: it is of another stage; the message says how to go on.
    """
    if isinstance(net, LIFNetwork):
        return net
    if isinstance(net, RateRNN):
        raise ValueError(
            f"{path}: got a rate network, need LIF neurons; use isotau convert"
        )
    raise ValueError(f"{path}: got integers already, need a network in floats")


def need_spiking(net: Network, path: str | os.PathLike[str]) -> SpikingNetwork:
    """Return a network that spikes.

    Args:
        net: the network.
        path: of its file, for the message.

    Raises:
        ValueError: it is a rate network.
    """
    return need_lif(net, path) if isinstance(net, RateRNN) else net


def need_fixed(net: Network, path: str | os.PathLike[str]) -> FixedPointNetwork:
    """Return a network in the chip's integers.

    Args:
        net: the network.
        path: of its file, for the message.

    Raises:
        ValueError: it is of another stage; the message says how to go on.
    """
    if isinstance(net, FixedPointNetwork):
        return net
    command = "isotau quantize" if isinstance(net, LIFNetwork) else "isotau convert"
    raise ValueError(
        f"{path}: got a network in floats, need the chip's integers; use {command}"
    )
