"""Networks written for other systems, each after a check that names every loss."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotau.convert.ground import validation
from isotau.convert.ground.errors import CannotExport, Finding, Severity, of_severity
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network, need_fixed, need_spiking
from isotau.targets.check import check

CHIPS = ("loihi1", "loihi2")
STAGES = (".rate", ".lif", ".fixed")
"""Of the names of isotau's own files, before their ending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is to be written, and how.

    Attributes:
        network: file of the network, which names the output if `out` is None.
        out: file to write, or folder for Lava.
        step: for ONNX: one step instead of a run.
        dtype: for ONNX of a network in floats; None for its default.
        reader: for NIR: whose conventions to keep.
        chip: for Lava: "loihi1" or "loihi2".
        overwrite: for Lava: whether to write into a folder with other files.
    """

    network: Path
    out: Path | None = None
    step: bool = False
    dtype: str | None = None
    reader: str = "any"
    chip: str = "loihi2"
    overwrite: bool = False


def to_nir_file(net: Network, request: Request) -> tuple[list[Finding], Path]:
    """Return the findings, and the NIR file that was written.

    Raises:
        CannotExport: what NIR cannot hold; nothing is written.
    """
    from isotau.targets.nir_graph.to_nir import write_nir

    _refuse(request, "nir", step=False, dtype=None)
    found = _checked(net, "nir")
    path = _path(request, ".nir")
    spiking = need_spiking(net, request.network)
    return found, write_nir(spiking, path, reader=request.reader)


def to_onnx_file(net: Network, request: Request) -> tuple[list[Finding], Path]:
    """Return the findings, and the ONNX file that was written.

    Raises:
        CannotExport: what ONNX cannot hold; nothing is written.
        ValueError: a dtype for a network of integers.
    """
    from isotau.targets.onnx_model.model_file import write_onnx

    _refuse(request, "onnx", reader="any")
    if isinstance(net, FixedPointNetwork):
        _refuse(request, "onnx of integers", dtype=None)
    found = _checked(net, "onnx")
    model = _maker(net, request.step)(net, **_chosen(request))
    return found, write_onnx(model, _path(request, ".onnx"))


def to_lava_folder(net: Network, request: Request) -> tuple[list[Finding], Path]:
    """Return the findings, and the folder with a stand-alone script for Lava.

    Raises:
        CannotExport: what Lava cannot hold; nothing is written.
        FileExistsError: the folder holds something else.
    """
    from isotau.targets.on_lava.lava_export import export_lava

    _refuse(request, "lava", step=False, dtype=None, reader="any")
    validation.choice("--chip", request.chip, CHIPS)
    fixed = need_fixed(net, request.network)
    found = _checked(fixed, "lava")
    folder = request.out or Path(_stem(request.network) + "-lava")
    try:
        written = export_lava(
            fixed, folder, chip=request.chip, overwrite=request.overwrite
        )
    except FileExistsError:
        raise FileExistsError(
            f"--out: got {folder}, which holds what isotau has not written, need a new "
            "or empty folder; with --overwrite isotau writes into it"
        ) from None
    return found, written


EXPORTERS: dict[str, Callable[[Network, Request], tuple[list[Finding], Path]]] = {
    "nir": to_nir_file,
    "onnx": to_onnx_file,
    "lava": to_lava_folder,
}


def _maker(net: Network, step: bool) -> Callable[..., Any]:
    """Return the function that makes a network's graph."""
    from isotau.targets.onnx_model.lif_to_onnx import lif_step_to_onnx, lif_to_onnx
    from isotau.targets.onnx_model.rate_to_onnx import rate_step_to_onnx, rate_to_onnx
    from isotau.targets.onnx_model.scan import fixed_step_to_onnx, fixed_to_onnx

    makers: dict[type[Network], tuple[Callable[..., Any], Callable[..., Any]]] = {
        FixedPointNetwork: (fixed_to_onnx, fixed_step_to_onnx),
        LIFNetwork: (lif_to_onnx, lif_step_to_onnx),
        RateRNN: (rate_to_onnx, rate_step_to_onnx),
    }
    return makers[type(net)][step]


def _chosen(request: Request) -> dict[str, str]:
    return {} if request.dtype is None else {"dtype": request.dtype}


def _checked(net: Network, target: str) -> list[Finding]:
    """Return the findings for a target.

    Raises:
        CannotExport: an error is among them.
    """
    found = check(net, target)
    if of_severity(found, Severity.ERROR):
        raise CannotExport(target, found)
    return found


def _refuse(request: Request, target: str, **expected: object) -> None:
    """Refuse options that a target does not take."""
    for name, value in expected.items():
        if getattr(request, name) != value:
            raise ValueError(
                f"--{name}: got {getattr(request, name)!r} for {target}, which has no "
                "such option; leave it out"
            )


def _path(request: Request, ending: str) -> Path:
    return request.out or Path(_stem(request.network) + ending)


def _stem(network: Path) -> str:
    """Return the name of a network's file without its ending and stage."""
    stem = network.stem
    for stage in STAGES:
        stem = stem.removesuffix(stage)
    return stem
