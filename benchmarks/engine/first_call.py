"""Time the compiled engine's import and first call; a child of `benchmarks.engine`.

Leaves `result.json`: seconds.
"""

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np


def main(folder: Path) -> None:
    # Not at the top of the module: the import is what is timed.
    start = time.perf_counter()
    compiled = importlib.import_module("isotau.sim.engines.compiled")
    imported = time.perf_counter()
    files = importlib.import_module("isotau.convert.ground.files")
    storage = importlib.import_module("isotau.convert.records.storage")
    records = importlib.import_module("isotau.convert.records.fixedpoint")
    net = storage.load(folder / "network.npz", records.FixedPointNetwork)
    silence = np.zeros((10, 4, net.n_in), dtype=np.int32)
    called = time.perf_counter()
    compiled.run(net, silence)
    result = {"import": imported - start, "first call": time.perf_counter() - called}
    files.write_text(folder / "result.json", json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
