"""A network that was converted with the wrong λ is put right by gradient.

Usage: python examples/tune_network.py [NETWORK.mat]
"""

import sys
from pathlib import Path

import isotau
from isotau.jobs.tune_lesson import lesson_of_task
from isotau.jobs.tune_network import tune_foreign
from isotau.sim.tasks import GO_NOGO

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"
COARSE = 70.0
"""1/λ in Hz; a search finds 35."""
CONFIG = isotau.TuneConfig(
    batch=16,
    updates=80,
    evaluate_every=10,
    evaluate_trials=50,
    learning_rate=0.02,
    stop_accuracy=1.0,
)


def main(path: Path) -> None:
    rate = isotau.read_rate(path).net
    net = isotau.rate_to_lif(rate, inverse_lambda=COARSE, from_x0=True)
    lesson = lesson_of_task(GO_NOGO, net, trials=200, seed=0)
    found = tune_foreign(net, lesson, isotau.TuningPlan(config=CONFIG))

    for stage, after in found.after.items():
        before = found.before[stage]
        change = isotau.compare_accuracies(before.right, after.right)
        print(
            f"{stage:5} accuracy {before.right.mean():.3f} -> {after.right.mean():.3f} "
            f"({change.low:+.2f} to {change.high:+.2f}), "
            f"{before.rate:.0f} -> {after.rate:.0f} Hz"
        )
    for told in found.tuned.evaluations:
        loss = told.losses["task"]
        print(f"update {told.update:3}: {told.accuracy:.2f}, mse {loss:.3f}")
    kept = (found.tuned.network.w_rec != 0) <= (net.w_rec != 0)
    print(f"synapses that tuning made: {(~kept).sum()}; status {found.tuned.status}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED)
