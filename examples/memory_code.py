"""Do the units with long timescales carry the stable code, also on the chip?

Usage: python examples/memory_code.py

Carries a working-memory network (delay of 750 ms) to the chip, measures its timescales
without input, and compares how well the first stimulus is told apart over the delay in
units with long and with short ones. Draws the matrices into memory_code.png.
"""

from pathlib import Path

import isotau
from isotau.reports import code_report
from isotau.sim.coding import CodingConfig

NETWORK = Path(__file__).parent / "data" / "dms_750_N200.rate.npz"


def main() -> None:
    rate = isotau.load(NETWORK, isotau.RateRNN)
    config = isotau.CodeConfig(
        run=isotau.RunConfig(task="dms-750", trials=80),
        coding=CodingConfig(draws=2, splits=4),
    )
    measured = isotau.code_network(rate, config)
    for stage, code in measured.codes.items():
        short, long = (1e3 * edge for edge in code.edges)
        stability = {name: code.groups[name].stability.value for name in code.groups}
        print(
            f"{stage}: off over on the diagonal {stability['long']:.2f} for τ > "
            f"{long:.0f} ms, {stability['short']:.2f} for τ < {short:.0f} ms"
        )
    code_report.draw(measured.codes, Path("memory_code.png"))


if __name__ == "__main__":
    main()
