"""What do the commands of the chain cost, warm and on a new machine?

    python -m benchmarks.chain                     everything
    python -m benchmarks.chain --against 9a36c02   beside an earlier commit, too
    python -m benchmarks.chain --only run convert  some of the commands
    python -m benchmarks.chain --render            the page, from its .json alone

Every command runs in a process of its own with a numba cache of the benchmark's: the
first run finds it empty, the others full. Nothing else should run meanwhile.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.chain.children import ChildCost, Machine, cost_of
from benchmarks.chain.commands import ChainCommand, chain_commands, make_inputs
from benchmarks.chain.page import chain_page
from benchmarks.command import add_page_options, command_parser
from benchmarks.provenance import provenance
from benchmarks.repository import ROOT, git, worktree
from benchmarks.results import read_figures, write_page, write_results


def main() -> None:
    """Measure and write the page."""
    parser = command_parser("benchmarks.chain", __doc__)
    parser.add_argument("--against", metavar="COMMIT", help="measure this one, too")
    parser.add_argument(
        "--against-only", nargs="*", help="of that one; as --only if not given"
    )
    parser.add_argument("--repeats", type=int, default=3, help="warm runs of each")
    parser.add_argument("--only", nargs="*", help="begins of the commands' names")
    add_page_options(parser)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "chain", chain_page)
        return
    with tempfile.TemporaryDirectory(prefix="isotau-chain-") as scratch:
        folder = Path(scratch)
        figures: dict[str, Any] = {
            "provenance": provenance("benchmarks.chain"),
            "repeats": options.repeats,
            "load": os.getloadavg()[0],
            "after": commands_of(ROOT, folder / "after", options.only, options),
            "before": None,
            "against": None,
        }
        if options.against:
            with worktree(options.against, folder / "tree") as root:
                figures["before"] = commands_of(
                    root,
                    folder / "before",
                    options.against_only or options.only,
                    options,
                )
            figures["against"] = git("rev-parse", "--short", options.against)
        # Not before: a child begins with the memory of what starts it, which counts as
        # its own peak, and these load torch.
        from benchmarks.chain.peers import peer_costs
        from benchmarks.chain.ratios import stage_ratios

        figures["ratios"] = {row.stage: row.ratio for row in stage_ratios()}
        figures["peers"] = peer_costs(folder / "after" / "network.lif.npz")
    write_results(options.page, "chain", figures, chain_page)


def commands_of(
    root: Path, folder: Path, only: list[str] | None, options: Any
) -> list[dict[str, Any]]:
    """Return the costs of those of a checkout's commands whose names begin so."""
    folder.mkdir()
    # With a cache that no timed command sees.
    make_inputs(folder, Machine(root, folder / "cache"))
    wanted = tuple(only or [""])
    return [
        timed(command, root, folder / str(k), options.repeats)
        for k, command in enumerate(chain_commands(folder))
        if command.name.startswith(wanted)
    ]


def timed(
    command: ChainCommand, root: Path, folder: Path, repeats: int
) -> dict[str, Any]:
    """Return what a command costs first and then, and its stages."""
    machine = Machine(root, folder / "cache")
    words = (*command.words, "--out", str(folder / "out"))
    cold = cost_of(words, machine)
    warm = []
    for turn in range(repeats):
        warm.append(cost_of(words, machine))
        sys.stderr.write(f"{command.name}, {turn + 1} of {repeats}: {warm[-1]}\n")
    stages = folder / "out" / "timing.json"
    return {
        "name": command.name,
        "goal": command.goal,
        "cold": cold._asdict(),
        "warm": _median(warm)._asdict(),
        "walls": [cost.wall_s for cost in warm],
        # Of the last run; commits before this file had none.
        "stages": read_figures(stages) if stages.exists() else [],
    }


def _median(costs: list[ChildCost]) -> ChildCost:
    return ChildCost(
        *(statistics.median(values) for values in zip(*costs, strict=True))
    )


if __name__ == "__main__":
    main()
