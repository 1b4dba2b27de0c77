"""Makes docs/results/stages.md and stages.json.

python -m benchmarks.stages             everything, minutes on two idle cores
python -m benchmarks.stages --render    the page, from its .json alone
"""

from benchmarks.command import add_page_options, command_parser
from benchmarks.provenance import provenance
from benchmarks.results import write_page, write_results
from benchmarks.stages.measure import ROUNDS, measure
from benchmarks.stages.page import stages_page


def main() -> None:
    """Measure and write the page."""
    parser = command_parser("benchmarks.stages", __doc__)
    add_page_options(parser)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "stages", stages_page)
        return
    figures = {"rounds": ROUNDS} | measure()
    content = {"provenance": provenance("benchmarks.stages"), "figures": figures}
    write_results(options.page, "stages", content, stages_page)


if __name__ == "__main__":
    main()
