"""Lists the benchmarks; with --render, makes the pages of docs/results again.

python -m benchmarks                      what there is to run
python -m benchmarks --render             every page, from its .json alone
python -m benchmarks --render tuning      some pages
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.chain.page import chain_page
from benchmarks.command import command_parser
from benchmarks.conversion.page import conversion_page
from benchmarks.damage.page import damage_page
from benchmarks.engine.page import engine_page
from benchmarks.equal_tau.copies import copies_page
from benchmarks.equal_tau.page import equal_tau_page
from benchmarks.equal_tau.slow_page import slow_page
from benchmarks.foreign.page import foreign_page
from benchmarks.house.page import house_page
from benchmarks.large.page import large_page
from benchmarks.page import MarkdownTable, PageSection, plain_table
from benchmarks.peers.page import peers_page
from benchmarks.repository import RESULTS
from benchmarks.results import PageOf, read_figures, write_page
from benchmarks.stages.page import stages_page
from benchmarks.targets.onnx_page import onnx_page
from benchmarks.timescales.page import timescales_page
from benchmarks.tuning.page import tuning_page
from benchmarks.verdict.page import verdict_page

COMMANDS = {
    "benchmarks.conversion": "what conversion does to accuracy and dynamics",
    "benchmarks.timescales": "how right timescales are, and what conversion leaves",
    "benchmarks.tuning": "what tuning gives back, and what it costs",
    "benchmarks.tuning.speed": "a training step beside Norse's",
    "benchmarks.tuning.gradient_memory": "memory by the length of a trial",
    "benchmarks.equal_tau": "whether states keep their timescales, stage by stage",
    "benchmarks.equal_tau.pictures": "what docs/equal-tau.md shows, of one network",
    "benchmarks.chain": "what the commands cost, warm and on a new machine",
    "benchmarks.chain.ratios": "stages beside plain loops, to see regressions",
    "benchmarks.engine": "what a time step costs beside others",
    "benchmarks.engine.spike_memory": "memory of many spikes",
    "benchmarks.large": "sparse networks of many neurons: time, memory, bits",
    "benchmarks.stages": "what a step of the float stages costs beside plain loops",
    "benchmarks.targets.lava_identity": "bits in which Lava differs",
    "benchmarks.targets.onnx_graph": "bits in which the ONNX graph differs, its cost",
    "benchmarks.targets.nir_importers": "what other frameworks make of .nir files",
    "benchmarks.equal_tau.copies": "whether copies of a unit stay apart, and help",
    "benchmarks.equal_tau.slow": "up to which slowness a conversion carries networks",
    "benchmarks.peers": "our estimators of timescales beside those of others",
    "benchmarks.verdict": "how often the verdict on states is wrong",
    "benchmarks.foreign": "networks of snnTorch and Norse on the chip",
    "benchmarks.foreign.train_snntorch": "trains one of them, in snnTorch",
    "benchmarks.damage": "what readers make of damaged files",
    "benchmarks.house": "whether a stranger finds the way through the code",
}
"""What stands behind `python -m`, and what it measures."""


def _house_page(figures: Mapping[str, Any]) -> PageSection:
    # Its page alone compares two commits, whose figures lie in a file each.
    return house_page(figures, read_figures(RESULTS / "house-before.json"))


PAGES: dict[str, PageOf] = {
    "chain": chain_page,
    "conversion": conversion_page,
    "copies": copies_page,
    "engine": engine_page,
    "equal_tau": equal_tau_page,
    "house": _house_page,
    "large": large_page,
    "peers": peers_page,
    "slow": slow_page,
    "stages": stages_page,
    "targets-damaged": damage_page,
    "targets-foreign": foreign_page,
    "targets-onnx": onnx_page,
    "timescales": timescales_page,
    "tuning": tuning_page,
    "verdict": verdict_page,
}
"""What makes each page of docs/results of its figures."""


def main() -> None:
    """List the benchmarks, or make pages again."""
    parser = command_parser("benchmarks", __doc__)
    parser.add_argument(
        "--render",
        nargs="*",
        metavar="PAGE",
        help=f"make pages again, all if none is named: {', '.join(PAGES)}",
    )
    parser.add_argument("--page", type=Path, default=RESULTS, help="folder of pages")
    options = parser.parse_args()
    if options.render is None:
        rows = [[f"python -m {module}", text] for module, text in COMMANDS.items()]
        sys.stdout.write(plain_table(MarkdownTable(["command", "measures"], rows)))
        sys.stdout.write("\n")
        return
    unknown = set(options.render) - set(PAGES)
    if unknown:
        parser.error(f"--render: got {sorted(unknown)}, need some of {[*PAGES]}")
    for name in options.render or PAGES:
        # A page whose figures have not been measured yet is no fault.
        if options.render or (options.page / f"{name}.json").exists():
            write_page(options.page, name, PAGES[name])


if __name__ == "__main__":
    main()
