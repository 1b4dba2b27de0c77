"""What does a time step cost? Our engines, Lava, Norse, Brian2, nengo-loihi, plain C.

Usage: python -m benchmarks.engine [--quick] [--against COMMIT] [--page FOLDER]
                                   [--json FILE] [--plot FILE.png]

All run the same networks, about 4 % of the neurons spiking in a step, interleaved;
figures are medians. The spikes of our engines, of plain C and of Lava are compared,
and a difference is an error. Ours always records spikes, packed. Quick takes less than
45 s and leaves out Brian2 and nengo-loihi, which may have interpreters of their own:
nengo-loihi 1.1.0 needs numpy < 2, as a virtual environment of Python 3.10 has it. The
plot takes half a minute more, or a minute in full. With a commit, its compiled engine
runs too, in turns with ours, out of a worktree that is gone again afterwards. A page
goes with the cost against activity and batch.
"""

import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.command import command_parser
from benchmarks.engine.page import engine_page, ratios
from benchmarks.page import render
from benchmarks.repository import commit, worktree

PACKAGES = ("numpy", "numba", "torch", "norse", "lava-nc")
SIZES, BATCHES = (50, 200, 1000, 2000), (1, 100)


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform()}


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def main() -> None:
    """Measure, print the tables, and write the figures and the picture."""
    parser = command_parser("benchmarks.engine", __doc__)
    parser.add_argument("--quick", action="store_true", help="under 45 s")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--plot", type=Path, help="also measure and draw the growth")
    for option, package in (("--brian2", "brian2"), ("--nengo", "nengo-loihi")):
        text = f"the Python that has {package}, if any"
        parser.add_argument(option, default=sys.executable, help=text)
    parser.add_argument("--against", metavar="COMMIT", help="also measure its engine")
    parser.add_argument(
        "--page", type=Path, help="write figures and page there, as docs/results has"
    )
    options = parser.parse_args()
    with (
        ExitStack() as stack,
        tempfile.TemporaryDirectory(prefix="isotau-bench-") as scratch,
    ):
        # Before numba is imported here and in the child that times its compilation.
        os.environ["NUMBA_CACHE_DIR"] = str(Path(scratch) / "numba")
        # Only the reference engine uses it, and its threads wait in circles for long.
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        from benchmarks.engine import measure

        against = None
        if options.against:
            folder = Path(scratch) / "earlier"
            against = stack.enter_context(worktree(options.against, folder))
        rows = measure.everything(
            Path(scratch),
            SIZES,
            BATCHES,
            quick=options.quick,
            growth=options.plot is not None or options.page is not None,
            pythons={"Brian2": options.brian2, "nengo-loihi": options.nengo},
            against=against,
        )
    figures = {
        "machine": machine(),
        "commit": commit(),
        "versions": versions(),
        "quick": options.quick,
        "against": options.against,
        **rows,
        "ratios": ratios(rows["rows"]),
    }
    if options.json:
        from benchmarks.results import write_figures

        write_figures(options.json, figures)
    if options.page:
        from benchmarks.results import write_results

        write_results(options.page, "engine", figures, engine_page)
    if options.plot:
        from benchmarks.engine import plot

        plot.draw(options.plot, figures)
    sys.stdout.write(render(engine_page(figures)))


if __name__ == "__main__":
    main()
