"""`export_lava`: a folder that runs a network in Lava without isotau.

The script in it is `lava_script`, copied: what is linted, typed and tested here is what
a user gets.
"""

import os
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from isotau.convert.chip import arithmetic
from isotau.convert.ground import files, validation
from isotau.convert.ground.errors import describe_findings
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.weight_form import densified
from isotau.targets.loihi.limits import CHIPS
from isotau.targets.on_lava.check_lava import check_lava
from isotau.targets.on_lava.profiles import Grouped, group_profiles
from isotau.targets.on_lava.to_lava import Messages

SCRIPT = {
    f"{name}.py": f"isotau.targets.on_lava.lava_script.{name}"
    for name in ("run", "network", "wiring")
}
"""File in the folder, and the module that it is a copy of."""
OWN_NEURON = {
    "noisy_lif/noisy_lif.py": "isotau.targets.on_lava.lava_lif.noisy_lif",
    "noise/arithmetic.py": "isotau.convert.chip.arithmetic",
    "noise/philox.py": "isotau.convert.chip.philox",
}
"""What networks with noise or refractory periods need besides."""
MOVED = {
    "from isotau.targets.on_lava.lava_script.": "from ",
    "from isotau.targets.on_lava.lava_lif.": "from noisy_lif.",
    "from isotau.convert.chip.": "from noise.",
}
"""Where the copies find one another."""
MARK = "Written by isotau's export_lava."
NEEDS = """
Needs Python 3.10 and `pip install lava-nc==0.10.0`, which brings numpy and scipy. On
Python 3.11 to 3.13: `pip install --no-deps --ignore-requires-python lava-nc==0.10.0`
and `pip install numpy scipy networkx asteval scikit-learn`.

| file | |
|---|---|
| `run.py` | the command; see `python run.py --help` |
| `network.py`, `wiring.py` | reads the files; makes Lava's processes |"""
CHIP_ROW = "| `hardware.npz` | the same with shared compartment profiles, for a chip |"
OWN_ROWS = """| `noisy_lif/`, `noise/` | a neuron with noise and refractory periods, \
for simulation |"""
TRIED = """
## What was tried

In Lava's CPU simulation the script gives isotau's spikes, to the bit, with the run
configurations of both chips. No chip was at hand: its input and output, in
`lava.proc.embedded_io.spike`, and Lava's Loihi1HwCfg and Loihi2HwCfg are used as
lava-nc 0.10.0 itself and public projects use them, and were tried with stand-ins alone.
Should a run stand still, end it with Ctrl-C: Lava does not always tell when one of its
processes has failed.

## Findings
"""
EXAMPLE_STEPS, EXAMPLE_PERIOD, EXAMPLE_MESSAGE = 200, 20, 64


def export_lava(
    net: FixedPointNetwork,
    folder: str | os.PathLike[str],
    *,
    chip: str = "loihi2",
    messages: Messages | None = None,
    grouped: Grouped | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a stand-alone Lava script with its data, and return the folder.

    It holds `run.py` and what that imports; `network.npz`, which is the record itself;
    `hardware.npz`, the same with shared profiles for a chip; `messages.npz`, example
    input; and a README. A new folder appears whole; in one that was there, each file
    does, and what else is in it stays.

    Args:
        net: the network.
        folder: where to.
        chip: a key of `CHIPS`: whose commands and limits the README gives.
        messages: input of one or more trials; by default each channel in turn sends
            something for 20 of 200 steps.
        grouped: for the chip; by default `group_profiles(net)`.
        overwrite: whether to write into a folder that isotau has not written.

    Raises:
        FileExistsError: there is such a folder, and something in it.
        ValueError: an unknown chip, or messages of another shape.
    """
    validation.choice("chip", chip, list(CHIPS))
    target = Path(folder)
    # Before anything is computed or written.
    if target.exists() and not (overwrite or _replaceable(target)):
        raise FileExistsError(
            f"folder: got {target}, which holds what isotau has not written, need a "
            "new or empty one; pass overwrite=True to write into it"
        )
    net = densified(net, "Lava")
    texts = _texts(net, chip)
    networks = {"network.npz": net}
    if not _own_neuron(net):  # which no chip has
        networks["hardware.npz"] = for_hardware(net, grouped)
    if messages is None:
        sent = _example(net)
    else:
        sent = validation.messages(messages, net.n_in, np.int32)
    if target.exists():
        _write(target, texts, networks, sent)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that it can be renamed: a file system is not left.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as t:
        whole = Path(t) / "whole"
        whole.mkdir()
        _write(whole, texts, networks, sent)
        os.rename(whole, target)
    return target


def for_hardware(
    net: FixedPointNetwork, grouped: Grouped | None = None
) -> FixedPointNetwork:
    """Return the network with shared profiles and bias exponents that a chip holds."""
    shared = (group_profiles(net) if grouped is None else grouped).net
    # The chip has no exponent below 0, where the bias is floored (H6).
    bias = arithmetic.effective_bias(shared.bias_mant, shared.bias_exp)
    low = shared.bias_exp < 0
    return replace(
        shared,
        bias_mant=np.where(low, bias, shared.bias_mant),
        bias_exp=np.where(low, 0, shared.bias_exp),
    )


def _own_neuron(net: FixedPointNetwork) -> bool:
    """Return whether Lava's own LIF is not enough."""
    return net.noisy or bool(net.refractory.any())


def _replaceable(folder: Path) -> bool:
    """Return whether a folder is empty or was written by isotau."""
    if not any(folder.iterdir()):
        return True
    # By the line that every README of isotau's has.
    readme = folder / "README.md"
    return readme.is_file() and MARK in readme.read_text(errors="replace")


def _write(
    folder: Path,
    texts: dict[str, str],
    networks: dict[str, FixedPointNetwork],
    messages: np.ndarray,
) -> None:
    for name, text in texts.items():
        files.write_text(folder / name, text)
    for name, net in networks.items():
        storage.save(net, folder / name)
    if "hardware.npz" not in networks:
        # One from an earlier export would be another network's.
        (folder / "hardware.npz").unlink(missing_ok=True)
    # Whole or not: the folder may be in use by a run.
    with files.atomic(folder / "messages.npz") as stream:
        np.savez_compressed(stream, messages=messages)


def _example(net: FixedPointNetwork) -> np.ndarray:
    """Return messages of one trial: each channel in turn sends for a while."""
    messages = np.zeros((EXAMPLE_STEPS, 1, net.n_in), dtype=np.int32)
    step = np.arange(EXAMPLE_STEPS)
    messages[step, 0, step // EXAMPLE_PERIOD % net.n_in] = EXAMPLE_MESSAGE
    return messages


def _texts(net: FixedPointNetwork, chip: str) -> dict[str, str]:
    """Return the text files of the folder by their names."""
    modules = SCRIPT | OWN_NEURON if _own_neuron(net) else SCRIPT
    texts = {name: _copy(module) for name, module in modules.items()}
    return texts | {"README.md": _readme(net, chip)}


def _copy(module: str) -> str:
    """Return a module's source, with what it imports of isotau beside it."""
    # Found, not imported: wiring and noisy_lif would import Lava.
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"{module}: got no source, need isotau's own; install again")
    text = Path(spec.origin).read_text(encoding="utf-8")
    # The copies import one another, and nothing of isotau.
    for old, new in MOVED.items():
        text = text.replace(old, new)
    return text


def _readme(net: FixedPointNetwork, chip: str) -> str:
    noisy = _own_neuron(net)
    # What a user of the folder has to know without isotau.
    findings = describe_findings(check_lava(net, chip=chip)).splitlines()
    return "\n".join(
        [
            "# A network for Lava\n",
            f"{MARK} {net.n} neurons, {net.n_in} input channels, steps of "
            f"{1e3 * net.dt:g} ms; isotau's fingerprint {net.fingerprint}.\n",
            f"    python run.py --config {chip}-sim --out spikes.npz",
            *(
                []
                if noisy
                else [f"    python run.py --config {chip}-hw --out chip.npz"]
            ),
            NEEDS,
            "| `network.npz` | the network, every neuron with its own registers |",
            OWN_ROWS if noisy else CHIP_ROW,
            "| `messages.npz` | example input: `messages`, steps × trials × channels |",
            f"\nMessages are whole numbers, round(input · {net.input_scale:g}). A "
            "connection that is `binary` takes any message but 0 for one spike. They "
            "act one step later, plus the connection's delay.",
            TRIED,
            *(f"- {line}" for line in findings or ["none"]),
            "",
        ]
    )
