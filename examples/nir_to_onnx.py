"""A network that snnTorch trained: from its NIR file to fixed point, then to ONNX.

Usage: python examples/nir_to_onnx.py [FILE.onnx]
"""

import sys
from pathlib import Path

import numpy as np

import isotau
from isotau.sim.engines import compiled

DATA = Path(__file__).parent / "data"


def main(path: Path) -> None:
    # snnTorch resets a neuron in the step after its spike: one step at rest, of which
    # the file says nothing.
    read = isotau.from_nir(DATA / "letters_snntorch.nir", refractory_steps=1)
    print(isotau.describe_findings(read.findings))
    with np.load(DATA / "letters_test.npz") as file:
        calibration, test = (
            np.unpackbits(file[f"{part}_events"], axis=0).astype(float)
            for part in ("calibration", "test")
        )
        labels = file["test_labels"]
    test, labels = test[:, :200], labels[:200]

    fixed = isotau.prepare(read.net, calibration).fixed
    model = isotau.fixed_to_onnx(fixed)
    isotau.write_onnx(model, path)
    print(f"{path}: {path.stat().st_size} bytes")

    sent = isotau.messages(fixed, test)
    engine = compiled.run(fixed, sent).spikes
    runtime = isotau.run_onnx(path, sent).spikes
    differing = int(np.unpackbits(engine.bits ^ runtime.bits).sum())
    print(f"spikes in which engine and onnxruntime differ: {differing}")

    letters = (
        isotau.unpack(runtime.bits, runtime.n)[..., -7:].sum(axis=0).argmax(axis=1)
    )
    print(f"letters read rightly: {(letters == labels).mean():.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("letters.onnx"))
