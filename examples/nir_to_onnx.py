"""A network that snnTorch trained: from its NIR file to fixed point, then to ONNX.

Usage: python examples/nir_to_onnx.py [FILE.onnx]
"""

import sys
from pathlib import Path

import numpy as np

import isotau
from isotau.convert.ground.errors import describe
from isotau.convert.records.spikes import unpack
from isotau.convert.to_fixed.quantize import messages
from isotau.sim.engines import compiled
from isotau.targets.nir_graph.from_nir import from_nir
from isotau.targets.onnx_model.model_file import write_onnx
from isotau.targets.onnx_model.scan import fixed_to_onnx
from isotau.targets.onnx_model.session import run_onnx

DATA = Path(__file__).parent / "data"


def main(path: Path) -> None:
    # snnTorch resets a neuron in the step after its spike: one step at rest, of which
    # the file says nothing.
    read = from_nir(DATA / "letters_snntorch.nir", refractory_steps=1)
    print(describe(read.findings))
    with np.load(DATA / "letters_test.npz") as file:
        calibration, test = (
            np.unpackbits(file[f"{part}_events"], axis=0).astype(float)
            for part in ("calibration", "test")
        )
        labels = file["test_labels"]
    test, labels = test[:, :200], labels[:200]

    run = isotau.simulate_lif(read.net, calibration, generator=None)
    fixed = isotau.quantize(read.net, run.ranges, input_peak=1.0)
    model = fixed_to_onnx(fixed)
    write_onnx(model, path)
    print(f"{path}: {path.stat().st_size} bytes")

    sent = messages(fixed, test)
    engine = compiled.run(fixed, sent).spikes
    runtime = run_onnx(path, sent).spikes
    differing = int(np.unpackbits(engine.bits ^ runtime.bits).sum())
    print(f"spikes in which engine and onnxruntime differ: {differing}")

    letters = unpack(runtime.bits, runtime.n)[..., -7:].sum(axis=0).argmax(axis=1)
    print(f"letters read rightly: {(letters == labels).mean():.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("letters.onnx"))
