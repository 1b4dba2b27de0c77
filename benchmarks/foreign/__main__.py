"""Makes docs/results/targets-foreign.md and targets-foreign.json.

    python -m benchmarks.foreign            both networks, some ten minutes
    python -m benchmarks.foreign --only snntorch      without training, a minute

Networks that others trained, one hidden recurrent layer of 40 and 7 outputs, go into
the chip's integers by quantization alone. `train_snntorch` made the file of the
first; the second is trained here, in Norse, unless the work folder has it, goes to NIR
and comes back from there.
"""

import argparse
import json
from pathlib import Path

from benchmarks.foreign.measure import measure, shipped, trained_in_norse
from benchmarks.foreign.page import write_page
from benchmarks.provenance import provenance
from benchmarks.repository import NETWORKS, RESULTS
from isotau.convert.ground.files import write_text
from isotau.targets.nir_graph.from_nir import from_nir

EPOCHS = 25


def main() -> None:
    """Measure what was asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("foreign-work"))
    parser.add_argument("--only", nargs="*", choices=["snntorch", "norse"])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of Norse")
    parser.add_argument("--data", type=Path, default=NETWORKS)
    parser.add_argument("--page", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    for name in chosen.only or ("snntorch", "norse"):
        if name == "snntorch":
            # The reset of snnTorch takes the step after a spike, which is one step at
            # rest; nothing in the file says so.
            read = from_nir(chosen.data / "letters_snntorch.nir", refractory_steps=1)
            task = shipped(chosen.data)
        else:
            graph, task = trained_in_norse(chosen.work, chosen.epochs)
            read = from_nir(graph)
        found = measure(read.net, task)
        text = json.dumps(found, indent=1, allow_nan=False)
        write_text(chosen.work / f"{name}.json", text + "\n")
    figures = {
        path.stem: json.loads(path.read_text())
        for path in sorted(chosen.work.glob("*.json"), reverse=True)
    }
    write_page(chosen.page, figures, provenance("benchmarks.foreign"))


if __name__ == "__main__":
    main()
