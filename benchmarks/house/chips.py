"""The chip networks that five ways make of one LIF network on one input.

A program of its own, run by the checkout's interpreter. The LIF network and the input
are those with which `isotau run` prepares the chip: the last network that is simulated
before the first is quantized. It has no membrane noise, so that the seeds of the ways
do not matter. The others get both: README's lines of Python, `isotau quantize`, and
`isotau tune` without and with --quantized, each before its first update.
"""

import ast
import importlib
import json
import re
import runpy
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from benchmarks.house.checkout import Checkout

NETWORK = "examples/data/go_nogo_N200.mat"
TRIALS = 30


class Preparation(NamedTuple):
    """A LIF network, and the input on which it is brought to the chip."""

    lif: Any
    inputs: Any
    """Steps × batch × channel."""


class Watch:
    """A profile hook that finds what `isotau run` prepares the chip with.

    Attributes:
        preparation: the arguments of the last `simulate_lif` before the first
            `quantize`, once there was one.
    """

    def __init__(self) -> None:
        """Begin before any call."""
        self.preparation: Preparation | None = None
        self._last: Preparation | None = None

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Look at a call; what `sys.setprofile` calls."""
        if event != "call" or self.preparation is not None:
            return
        name = frame.f_code.co_name
        if name == "simulate_lif":
            values = frame.f_locals
            self._last = Preparation(values["net"], values["inputs"])
        elif name == "quantize":
            self.preparation = self._last


def of_run(root: Path) -> tuple[Preparation, Any]:
    """Return what `isotau run` prepares the chip with, and its chip network.

    Args:
        root: of the checkout.
    """
    import isotau

    carry, settings, constants = (
        defined(root, name) for name in ("carry", "RunConfig", "LIFConstants")
    )
    config = settings(
        search_trials=TRIALS,
        trials=TRIALS,
        lava_trials=1,
        # Each way draws its noise from a seed of its own.
        constants=constants(noise_std=0.0),
    )
    rate, watch = isotau.read_rate(root / NETWORK).net, Watch()
    sys.setprofile(watch)
    try:
        result = carry(rate, config)
    finally:
        sys.setprofile(None)
    if watch.preparation is None:
        raise RuntimeError("isotau run: got no call of quantize, need one")
    return watch.preparation, result.fixed


def of_readme(text: str, preparation: Preparation) -> Any:
    """Return the `chip` of README's Python, begun with a given `lif` and `inputs`.

    Args:
        text: of README; its block of Python assigns `inputs`, and later `chip`.
        preparation: what to begin with.
    """
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    # The examples of other pages may be there too: the one with the chip counts.
    block = next(block for block in blocks if re.search(r"(?m)^chip\b.* = ", block))
    lines = ast.parse(block).body
    names = [ast.unparse(line).partition(" =")[0] for line in lines]
    heads = [line for line in lines if isinstance(line, ast.Import | ast.ImportFrom)]
    middle = lines[names.index("inputs") + 1 : names.index("chip") + 1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "readme.py")
        path.write_text("\n".join(map(ast.unparse, (*heads, *middle))))
        return runpy.run_path(str(path), init_globals=preparation._asdict())["chip"]


def of_quantize(root: Path, preparation: Preparation) -> Any:
    """Return the chip network of `isotau quantize`.

    Its first half of the trials calibrates: it gets all of them twice.
    """
    import numpy as np

    inputs, quantize_on = defined(root, "Inputs"), defined(root, "quantize_on")
    values = np.concatenate([preparation.inputs] * 2, axis=1)
    return quantize_on(preparation.lif, inputs(values, None, None)).fixed


def of_tune(root: Path, preparation: Preparation, *, quantized: bool) -> Any:
    """Return the chip network of `isotau tune` before its first update.

    Args:
        root: of the checkout.
        preparation: the network to tune, and the trials.
        quantized: whether the chip's arithmetic is in the forward pass.
    """
    import numpy as np

    names = (
        "Trials lesson_of_trials answer_is_near tune_foreign TuningPlan TuneConfig"
    ).split()
    trials, lesson_of, near, tune, plan, settings = (
        defined(root, name) for name in names
    )
    lif, inputs = preparation
    steps, batch = inputs.shape[:2]
    typical = trials(
        inputs=inputs,
        targets=np.zeros((steps, batch, lif.n_out)),
        mask=np.ones((steps, batch), dtype=bool),
        labels=np.zeros(batch, dtype=np.int64),
        dt=lif.dt,
        task="",
    )
    # The lesson's own choice of typical trials is random: all of them are taken.
    lesson = lesson_of(typical, lif, score=near, loss="mse", seed=0)
    lesson = lesson._replace(typical=typical, peak=float(np.abs(inputs).max()))
    config = settings(updates=0, evaluate_trials=4)
    tuning = plan(config=config, quantized=quantized, reference="lif")
    return tune(lif, lesson, tuning).fixed


def chips_of(root: Path) -> dict[str, Any]:
    """Return the chip networks of the five ways, by name.

    Args:
        root: of the checkout.
    """
    preparation, chip = of_run(root)
    text = (root / "README.md").read_text(encoding="utf-8")
    return {
        "README's Python": of_readme(text, preparation),
        "isotau run": chip,
        "isotau quantize": of_quantize(root, preparation),
        "isotau tune": of_tune(root, preparation, quantized=False),
        "isotau tune --quantized": of_tune(root, preparation, quantized=True),
    }


def defined(root: Path, name: str) -> Any:
    """Return the function or class of that name, in whatever module of isotau.

    Args:
        root: of the checkout; a name is looked for in its sources.
        name: at the top of one module, and of no other.
    """
    # By its name, so that checkouts before and after a move can be measured alike.
    definition = re.compile(rf"^(def|class) {name}\b", re.MULTILINE)
    rooms = {"convert": "isotau.convert", "targets": "isotau.targets"}
    rooms |= {"sim": "isotau.sim", "src/isotau": "isotau"}
    for room, package in rooms.items():
        for path in sorted((root / room).rglob("*.py")):
            if definition.search(path.read_text(encoding="utf-8")):
                parts = path.relative_to(root / room).with_suffix("").parts
                module = ".".join((package, *parts)).removesuffix(".__init__")
                return getattr(importlib.import_module(module), name)
    raise LookupError(f"{name}: got no definition, need one in a module of isotau")


def summarize(fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """Return how many fingerprints differ, and whose they are."""
    return {
        "different": len(set(fingerprints.values())),
        "entries": dict(fingerprints),
    }


def measure_chips(checkout: Checkout) -> dict[str, Any]:
    """Return the fingerprints of the five ways, and how many differ."""
    words = ("-m", "benchmarks.house.chips", str(checkout.root))
    with tempfile.TemporaryDirectory() as folder:
        output = checkout.run_checked(*words, folder=Path(folder))
    # Before the last line stand the progress bars and warnings of libraries.
    return summarize(json.loads(output.splitlines()[-1]))


def _fingerprint(chip: Any) -> str:
    """Return a network's hash, in a checkout of any age: once it was a function."""
    import isotau

    function = getattr(isotau, "fingerprint", None)
    return function(chip) if function else chip.fingerprint


def main(root: str) -> None:
    """Print the fingerprints of the five ways in a checkout."""

    chips = chips_of(Path(root))
    prints = {name: _fingerprint(chip) for name, chip in chips.items()}
    print(json.dumps(prints))


if __name__ == "__main__":
    main(*sys.argv[1:])
