"""Two bits a weight: plain quantization against tuning through the chip's arithmetic.

Usage: python examples/tune_quantized.py
"""

from dataclasses import replace
from pathlib import Path

import isotau
from isotau.convert.quantize import QuantizeConfig
from isotau.pipeline import carry
from isotau.run_config import RunConfig

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"
CONFIG = isotau.TuneConfig(
    batch=16,
    updates=60,
    evaluate_every=10,
    evaluate_trials=50,
    learning_rate=0.02,
    stop_accuracy=1.0,
)


def main() -> None:
    rate = isotau.read_rate(SHIPPED).net
    for bits in (8, 2):
        config = RunConfig(
            trials=200,
            search_trials=20,
            lava_trials=1,
            quantization=QuantizeConfig(num_weight_bits=bits),
        )
        plain = carry(rate, config)
        said = {name: stage.right.mean() for name, stage in plain.stages.items()}
        print(f"{bits} bits: " + ", ".join(f"{k} {v:.3f}" for k, v in said.items()))

    tuning = isotau.TuningPlan(config=CONFIG, quantized=True)
    tuned = carry(rate, replace(config, tuning=tuning))
    best = tuned.tuned.best
    print(
        f"2 bits, tuned: fixed {tuned.stages['fixed'].right.mean():.3f} "
        f"(update {best.update}, {best.accuracy:.2f} of the trials that chose it)"
    )


if __name__ == "__main__":
    main()
