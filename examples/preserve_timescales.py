"""Are a working-memory network's timescales preserved on the way to the chip?

Usage: python examples/preserve_timescales.py [NETWORK [TASK]]

First by the states of synapses, which tell in seconds; then by spikes, as an
experimenter would. With as few trials as here these often cannot tell: `isotau
preserve` runs more of them, on as many networks as it is given.
"""

import sys
from pathlib import Path

import isotau
from isotau.sim.timescales import summary

SHIPPED = Path(__file__).parent / "data" / "dms_750_N200.rate.npz"


def main(path: Path, task: str) -> None:
    net = isotau.read_rate(path).net
    run = isotau.RunConfig(task=task, method="scale", trials=60, search_trials=60)
    config = isotau.PreserveConfig(
        run=run,
        trials=60,
        length=1.5,
        groups=0,
        budget=isotau.StateBudget(seconds=10),
    )
    measured = isotau.measure_networks([(path.stem, net)], config)

    for compared in measured[0].states:
        print(isotau.sentence(compared))
    for stage, found in measured[0].stages.items():
        said = summary(found.timescales["ml"][0])
        tau = said["median_tau_s"]
        median = "none" if tau is None else f"{1e3 * tau:.0f} ms"
        print(
            f"{stage}: accuracy {measured[0].accuracy[stage]:.2f}, "
            f"{said['n_timescales']} of {said['n_neurons']} with a timescale, "
            f"median {median}"
        )
    for a, b in (("rate", "lif"), ("lif", "fixed")):
        verdict = isotau.compare_stages(measured, a, b).conclusion
        print(f"{a} to {b}: {verdict.verdict.value}: {verdict.reason}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        Path(given[0]) if given else SHIPPED,
        given[1] if len(given) > 1 else "dms-750",
    )
