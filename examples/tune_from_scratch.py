"""A random LIF network learns a task, by two ways to find gradients.

Usage: python examples/tune_from_scratch.py
"""

import time
from dataclasses import replace

import isotau
from isotau.sim.tasks import GO_NOGO

CONFIG = isotau.TuneConfig(
    train=("w_in", "w_rec", "w_out", "b_out", "v_leak"),
    learning_rate=0.05,
    batch=16,
    updates=160,
    evaluate_every=20,
    stop_accuracy=0.95,
    seed=1,
)


def main() -> None:
    net = isotau.from_scratch(50, GO_NOGO.n_in, GO_NOGO.n_out, seed=3)
    source = isotau.Source(draw=GO_NOGO.draw, score=GO_NOGO.score)
    for method in ("bptt", "eprop"):
        started = time.monotonic()
        tuned = isotau.tune(net, source, config=replace(CONFIG, method=method))
        seconds = time.monotonic() - started
        first, best = tuned.evaluations[0], tuned.best
        print(
            f"{method:5} accuracy {first.accuracy:.2f} -> {best.accuracy:.2f} "
            f"(update {best.update}), mse {first.losses['task']:.3f} -> "
            f"{best.losses['task']:.3f}, {best.rate:.0f} Hz, {tuned.status} "
            f"after {len(tuned.losses)} updates, {seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
