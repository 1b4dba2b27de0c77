"""The stages of a network: rate, LIF and fixed point, and commands that need one."""

import os
from collections.abc import Collection
from typing import cast

from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN

FloatNetwork = RateRNN | LIFNetwork
SpikingNetwork = LIFNetwork | FixedPointNetwork
Network = RateRNN | LIFNetwork | FixedPointNetwork
# In the order of the chain: a network goes from one to the next.
STAGES: dict[str, type[Network]] = {
    "rate": RateRNN,
    "lif": LIFNetwork,
    "fixed": FixedPointNetwork,
}
"""By the name that files and reports give them."""


def stage_name(net: Network) -> str:
    """Return "rate", "lif" or "fixed"."""
    return next(name for name, kind in STAGES.items() if type(net) is kind)


def need_stage(
    net: Network, path: str | os.PathLike[str], stages: Collection[str]
) -> Network:
    """Return a network that is of one of some stages.

    Args:
        net: the network.
        path: of its file, for the message.
        stages: keys of `STAGES`.

    Raises:
        ValueError: it is of another stage; the message says how to go on.
    """
    # The way on differs: integers never go back, floats go on by one command or two.
    stage = stage_name(net)
    if stage in stages:
        return net
    if stage == "fixed":
        raise ValueError(f"{path}: got integers already, need a network in floats")
    if stage == "rate" and "lif" in stages:
        raise ValueError(
            f"{path}: got a rate network, need LIF neurons; use isotau convert"
        )
    if "fixed" not in stages:
        raise ValueError(f"{path}: got LIF neurons, need a rate network")
    command = "isotau quantize" if stage == "lif" else "isotau convert"
    raise ValueError(
        f"{path}: got a network in floats, need the chip's integers; use {command}"
    )


def need_lif(net: Network, path: str | os.PathLike[str]) -> LIFNetwork:
    """Return a network that is one of LIF neurons; errors as in `need_stage`."""
    # The check is one of values, which the type checker cannot follow.
    return cast(LIFNetwork, need_stage(net, path, ("lif",)))


def need_spiking(net: Network, path: str | os.PathLike[str]) -> SpikingNetwork:
    """Return a network that spikes; errors as in `need_stage`."""
    return cast(SpikingNetwork, need_stage(net, path, ("lif", "fixed")))


def need_fixed(net: Network, path: str | os.PathLike[str]) -> FixedPointNetwork:
    """Return a network in the chip's integers; errors as in `need_stage`."""
    return cast(FixedPointNetwork, need_stage(net, path, ("fixed",)))
