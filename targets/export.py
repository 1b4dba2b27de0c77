"""Networks written for other systems, each after a check that names every loss.

`EXPORTERS` has a row for each system. Another package adds a row by an entry point of
the group `GROUP` that names an `Exporter` (`isotau.convert.ground.plugins`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotau.convert.ground import validation
from isotau.convert.ground.errors import CannotExport, Finding, Severity, of_severity
from isotau.convert.ground.plugins import plugins, warn_broken
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import STAGES, Network, need_stage
from isotau.targets.loihi.limits import CHIPS
from isotau.targets.nir_graph.check_nir import check_nir
from isotau.targets.on_lava.check_lava import check_lava
from isotau.targets.onnx_model.check_onnx import check_onnx

GROUP = "isotau.exporters"
"""Entry points of other packages' exporters."""
SPECIAL = ("step", "dtype", "reader")
"""Options of a `Request` that change what is written, each for one system."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is to be written, and how.

    Attributes:
        network: file of the network, which names the output if `out` is None.
        out: file to write, or folder for Lava.
        step: for ONNX: one step instead of a run.
        dtype: for ONNX of a network in floats; None for its default.
        reader: for NIR: whose conventions to keep.
        chip: for Lava: a key of `CHIPS`.
        overwrite: for Lava: whether to write into a folder with other files.
    """

    network: Path
    out: Path | None = None
    step: bool = False
    dtype: str | None = None
    reader: str = "any"
    chip: str = "loihi2"
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Exporter:
    """A system that networks are written for.

    Attributes:
        check: returns all that the system cannot hold of a network of any stage. With
            an error among it nothing is written.
        write: writes a network to a path as a request says, and returns the path.
        stages: keys of `STAGES`: the networks that `write` takes.
        ending: of the name of what is written.
        options: those of `SPECIAL` that it takes; the others are refused.
    """

    check: Callable[[Network], list[Finding]]
    write: Callable[[Any, Path, Request], Path]
    stages: tuple[str, ...]
    ending: str
    options: tuple[str, ...] = ()


# The functions that write import on use: a check needs neither nir, onnx nor torch.


def _write_nir(net: Any, path: Path, request: Request) -> Path:
    from isotau.targets.nir_graph.to_nir import write_nir

    return write_nir(net, path, reader=request.reader)


def _write_onnx(net: Network, path: Path, request: Request) -> Path:
    from isotau.targets.onnx_model.fixed_to_onnx import (
        fixed_step_to_onnx,
        fixed_to_onnx,
    )
    from isotau.targets.onnx_model.lif_to_onnx import lif_step_to_onnx, lif_to_onnx
    from isotau.targets.onnx_model.model_file import write_onnx
    from isotau.targets.onnx_model.rate_to_onnx import rate_step_to_onnx, rate_to_onnx

    if isinstance(net, FixedPointNetwork):
        _refuse(request, "dtype", "onnx of integers")
    functions: dict[type[Network], tuple[Callable[..., Any], Callable[..., Any]]] = {
        FixedPointNetwork: (fixed_to_onnx, fixed_step_to_onnx),
        LIFNetwork: (lif_to_onnx, lif_step_to_onnx),
        RateRNN: (rate_to_onnx, rate_step_to_onnx),
    }
    # Each stage has a default of its own, so that a dtype is passed only if it is set.
    numbers = {} if request.dtype is None else {"dtype": request.dtype}
    return write_onnx(functions[type(net)][request.step](net, **numbers), path)


def _write_lava(net: FixedPointNetwork, path: Path, request: Request) -> Path:
    from isotau.targets.on_lava.lava_export import export_lava

    validation.choice("--chip", request.chip, list(CHIPS))
    try:
        return export_lava(net, path, chip=request.chip, overwrite=request.overwrite)
    except FileExistsError:
        # In the words of the command line.
        raise FileExistsError(
            f"--out: got {path}, which holds what isotau has not written, need a new "
            "or empty folder; with --overwrite isotau writes into it"
        ) from None


EXPORTERS: dict[str, Exporter] = {
    "nir": Exporter(
        check=check_nir,
        write=_write_nir,
        stages=("lif", "fixed"),
        ending=".nir",
        options=("reader",),
    ),
    "onnx": Exporter(
        check=check_onnx,
        write=_write_onnx,
        stages=tuple(STAGES),
        ending=".onnx",
        options=("step", "dtype"),
    ),
    "lava": Exporter(
        check=check_lava, write=_write_lava, stages=("fixed",), ending="-lava"
    ),
}
"""By the name that commands give them."""


def exporters() -> dict[str, Exporter]:
    """Return isotau's exporters and those of other packages, by name.

    A `BrokenPlugin` warning names one that cannot be used and is left out.
    """
    table = dict(EXPORTERS)
    for entry, exporter in plugins(GROUP, Exporter):
        # A chip is no exporter, but `check` takes the names of both.
        if entry.name in table or entry.name in CHIPS:
            warn_broken(entry, ValueError("got a name that is taken, need another"))
        else:
            table[entry.name] = exporter
    return table


def find_exporter(name: str) -> Exporter:
    """Return an exporter; packages are searched for names that are not isotau's.

    Raises:
        ValueError: no such exporter; the message lists all that there are.
    """
    # Code of other packages runs only if it is asked for.
    table = EXPORTERS if name in EXPORTERS else exporters()
    return table[validation.choice("--to", name, list(table))]


def export(net: Network, target: str, request: Request) -> tuple[list[Finding], Path]:
    """Return the findings about a network for a target, and what was written.

    Args:
        net: the network.
        target: name of an exporter.
        request: what is to be written, and how.

    Raises:
        ValueError: no such exporter, an option that it does not take, or a network of
            another stage.
        CannotExport: what the target cannot hold; nothing is written.
        FileExistsError: a folder for Lava holds something else.
    """
    exporter = find_exporter(target)
    # Before the check, which may take seconds, as a mistake should be told at once.
    for name in SPECIAL:
        if name not in exporter.options:
            _refuse(request, name, target)
    findings = exporter.check(net)
    if of_severity(findings, Severity.ERROR):
        raise CannotExport(target, findings)
    # After the check: an exporter may say more about a stage that it does not take.
    need_stage(net, request.network, exporter.stages)
    path = request.out or Path(_stem(request.network) + exporter.ending)
    return findings, exporter.write(net, path, request)


def _refuse(request: Request, option: str, target: str) -> None:
    """Refuse an option that a target does not take, if it is not at its default."""
    value = getattr(request, option)
    if value != getattr(Request(network=request.network), option):
        raise ValueError(
            f"--{option}: got {value!r} for {target}, which has no such option; leave "
            "it out"
        )


def _stem(network: Path) -> str:
    """Return the name of a network's file without its ending and stage."""
    stem = network.stem
    for stage in STAGES:
        stem = stem.removesuffix(f".{stage}")
    return stem
