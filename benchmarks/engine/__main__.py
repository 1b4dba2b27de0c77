"""What does a time step cost? Our engines, Lava, Norse, Brian2 and plain C.

Usage: python -m benchmarks.engine [--quick] [--json FILE] [--plot FILE.png]

All run the same networks, about 4 % of the neurons spiking in a step, interleaved;
figures are medians. The spikes of our engines, of plain C and of Lava are compared,
and a difference is an error. Ours always records spikes, packed. Quick takes less than
45 s and leaves out Brian2; the plot takes half a minute more, or a minute in full.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "numba", "torch", "norse", "lava-nc")
SIZES, BATCHES = (50, 200, 1000, 2000), (1, 100)
TARGETS = (
    # what, N = 200, N = 1000, the slower, the faster; each an engine and its batch
    ("Lava, run only", 1000, 350, ("Lava", 1), ("compiled", 100)),
    ("Lava, spikes read", 10000, 3000, ("Lava, spikes read", 1), ("compiled", 100)),
    ("Norse float, batch 100", 10, 8, ("Norse", 100), ("compiled", 100)),
    ("Brian2 C++, run only", 10, 20, ("Brian2", 1), ("compiled", 100)),
    # Of the ceiling, 7.8 and 18.5 times as fast as plain C where both were measured,
    # the target is 1/2.5.
    ("plain C, one thread", 3.1, 7.4, ("plain C", 100), ("compiled", 100)),
)
LIMITS = (
    ("membrane noise", 2, ("compiled, noise", 100), ("compiled", 100)),
    ("u and v of 10 neurons", None, ("compiled, u and v", 100), ("compiled", 100)),
    ("overflow counted", None, ("compiled, counting", 100), ("compiled", 100)),
    ("batch 1, per core", 2, ("compiled, 1 thread", 1), ("compiled, 1 thread", 100)),
    ("one thread", None, ("compiled, 1 thread", 100), ("compiled", 100)),
)
"""What, at most how many times slower than what; None for no limit."""


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform()}


def commit() -> str:
    """Return the commit of the checkout, with + after it if files differ from it."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD") + "+" * bool(changed)


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def times(rows: list[dict[str, Any]]) -> dict[tuple[str, int, int], float]:
    """Return µs per trial and step by engine, batch and n."""
    return {(r["engine"], r["batch"], r["n"]): r["us_per_trial_step"] for r in rows}


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many times faster ours is than others, and slower with options."""
    cost, found = times(rows), []
    wanted = [(w, (a, b), True, x, y) for w, a, b, x, y in TARGETS]
    wanted += [(w, (most, most), False, x, y) for w, most, x, y in LIMITS]
    for what, needs, at_least, slow, fast in wanted:
        for n, need in zip((200, 1000), needs, strict=True):
            if (*slow, n) not in cost or (*fast, n) not in cost:
                continue
            got = cost[(*slow, n)] / cost[(*fast, n)]
            met = None if need is None else (got >= need) == at_least
            row = {"what": what, "n": n, "at_least": at_least}
            found.append({**row, "need": need, "ratio": got, "met": met})
    return found


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table."""
    rows = [head, ["---"] + ["---:"] * (len(head) - 1), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def figure(x: float) -> str:
    """Return a number with three digits, thousands grouped."""
    if x >= 100:
        return f"{float(f'{x:.3g}'):,.0f}"
    return f"{x:.3g}"


def cost_table(rows: list[dict[str, Any]]) -> str:
    cost = times(rows)
    sizes = sorted({row["n"] for row in rows})
    lines = []
    for engine, batch in dict.fromkeys((r["engine"], r["batch"]) for r in rows):
        cells = [cost.get((engine, batch, n)) for n in sizes]
        lines.append(
            [engine, str(batch), *("–" if x is None else figure(x) for x in cells)]
        )
    head = ["µs per trial and step", "batch", *(f"N = {n}" for n in sizes)]
    return table(head, lines)


def ratio_table(found: list[dict[str, Any]]) -> str:
    cells: dict[tuple[str, bool], dict[int, str]] = {}
    for row in found:
        sign = "≥" if row["at_least"] else "≤"
        need = "" if row["need"] is None else f" ({sign} {row['need']:,})"
        missed = "" if row["met"] in (True, None) else " **missed**"
        text = f"{figure(row['ratio'])}×{need}{missed}"
        cells.setdefault((row["what"], row["at_least"]), {})[row["n"]] = text
    lines = [
        [("faster than " if faster else "slower: ") + what]
        + [by_n.get(n, "–") for n in (200, 1000)]
        for (what, faster), by_n in cells.items()
    ]
    return table(["ours, batch 100 (needed)", "N = 200", "N = 1000"], lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under 45 s")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--plot", type=Path, help="also measure and draw the growth")
    parser.add_argument(
        "--brian2", default=sys.executable, help="the Python that has brian2, if any"
    )
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory(prefix="isotau-bench-") as scratch:
        # Before numba is imported here and in the child that times its compilation.
        os.environ["NUMBA_CACHE_DIR"] = str(Path(scratch) / "numba")
        # Only the reference engine uses it, and its threads wait in circles for long.
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        from benchmarks.engine import measure

        measured = measure.everything(
            Path(scratch),
            SIZES,
            BATCHES,
            quick=chosen.quick,
            growth=chosen.plot is not None,
            brian2=chosen.brian2,
        )
    found = ratios(measured["rows"])
    head = {"machine": machine(), "commit": commit(), "versions": versions()}
    result = {**head, "quick": chosen.quick, **measured, "ratios": found}
    if chosen.json:
        from isotau.convert.ground.files import write_text

        text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
        write_text(chosen.json, text + "\n")
    if chosen.plot:
        from benchmarks.engine import plot

        plot.draw(chosen.plot, measured)
    print(f"{head['machine']['cpu']}, {head['machine']['cores']} cores")
    for net in measured["networks"]:
        print(
            f"N = {net['n']}: bias {net['bias']}·2^6, {net['activity']:.2%} of neurons "
            "spike in a step"
        )
    print("", cost_table(measured["rows"]), "", ratio_table(found), "", sep="\n")
    for what, seconds in measured["start"].items():
        print(f"{what}: {seconds:.2f} s")
    print("medians of", statistics.median(r["repeats"] for r in measured["rows"]))


if __name__ == "__main__":
    main()
