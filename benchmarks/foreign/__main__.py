"""Makes docs/results/targets-foreign.md and targets-foreign.json.

    python -m benchmarks.foreign                   both networks, some ten minutes
    python -m benchmarks.foreign --only snntorch   without training, a minute
    python -m benchmarks.foreign --render          the page, from its .json alone

Networks that others trained, one hidden recurrent layer of 40 and 7 outputs, go into
the chip's integers by quantization alone. `train_snntorch` made the file of the
first; the second is trained here, in Norse, unless the work folder has it, goes to NIR
and comes back from there.
"""

from pathlib import Path

from benchmarks.command import add_page_options, command_parser
from benchmarks.foreign.measure import measure, shipped, trained_in_norse
from benchmarks.foreign.page import AIM, foreign_page
from benchmarks.provenance import provenance
from benchmarks.repository import NETWORKS
from benchmarks.results import read_figures, write_figures, write_page, write_results
from isotau.targets.nir_graph.from_nir import from_nir

EPOCHS = 25


def main() -> None:
    """Measure what was asked for and write the page."""
    parser = command_parser("benchmarks.foreign", __doc__)
    parser.add_argument("--work", type=Path, default=Path("foreign-work"))
    parser.add_argument("--only", nargs="*", choices=["snntorch", "norse"])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of Norse")
    parser.add_argument("--data", type=Path, default=NETWORKS)
    add_page_options(parser)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "targets-foreign", foreign_page)
        return
    for name in options.only or ("snntorch", "norse"):
        if name == "snntorch":
            # The reset of snnTorch takes the step after a spike, which is one step at
            # rest; nothing in the file says so.
            source = options.data / "letters_snntorch.nir"
            imported = from_nir(source, refractory_steps=1)
            record = shipped(options.data)
        else:
            graph, record = trained_in_norse(options.work, options.epochs)
            imported = from_nir(graph)
        figures = measure(imported.net, record)
        write_figures(options.work / f"{name}.json", figures)
    content = {
        "provenance": provenance("benchmarks.foreign"),
        "aim": AIM,
        "figures": {
            path.stem: read_figures(path)
            # Backwards in the alphabet: snnTorch's network comes first.
            for path in sorted(options.work.glob("*.json"), reverse=True)
        },
    }
    write_results(options.page, "targets-foreign", content, foreign_page)


if __name__ == "__main__":
    main()
