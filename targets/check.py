"""What a target cannot hold of a network, and what is done about it: all at once."""

from collections.abc import Callable
from functools import partial

from isotau.convert.ground import validation
from isotau.convert.ground.errors import Finding
from isotau.convert.records.stage import Network
from isotau.targets.export import EXPORTERS, exporters
from isotau.targets.loihi.check_loihi import check_loihi
from isotau.targets.loihi.limits import CHIPS

TARGETS: dict[str, Callable[[Network], list[Finding]]] = {
    **{name: partial(check_loihi, chip=chip) for name, chip in CHIPS.items()},
    **{name: exporter.check for name, exporter in EXPORTERS.items()},
}
"""Check of each chip, and of each system that isotau itself exports to."""


def check(net: Network, target: str) -> list[Finding]:
    """Return every finding about a network for a target; nothing is left out.

    An error means that it cannot be handed over as it is, a warning that it can and
    will not be the same there, an info that something should be known.

    Args:
        net: a network of any stage.
        target: one of `TARGETS`, or the name of an exporter of another package.

    Raises:
        ValueError: another target; the message lists all that there are.
    """
    # Code of other packages runs only if it is asked for.
    table = TARGETS
    if target not in table:
        table = table | {name: row.check for name, row in exporters().items()}
    return table[validation.choice("target", target, list(table))](net)
