"""One bit a weight: plain quantization against tuning through the chip's arithmetic.

Usage: python examples/tune_quantized.py
"""

from dataclasses import replace
from pathlib import Path

import isotau

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"
CONFIG = isotau.TuneConfig(
    batch=16,
    updates=40,
    evaluate_every=10,
    evaluate_trials=50,
    learning_rate=0.02,
)


def main() -> None:
    rate = isotau.read_rate(SHIPPED).net
    for bits in (8, 1):
        # "fit": the grid with the least error, which moves little while weights do
        chip = isotau.QuantizeConfig(num_weight_bits=bits, outliers="fit")
        config = isotau.RunConfig(
            trials=200, search_trials=20, lava_trials=1, quantization=chip
        )
        plain = isotau.carry(rate, config)
        said = {name: stage.right.mean() for name, stage in plain.stages.items()}
        print(f"{bits} bits: " + ", ".join(f"{k} {v:.3f}" for k, v in said.items()))

    tuning = isotau.TuningPlan(config=CONFIG, quantized=True)
    tuned = isotau.carry(rate, replace(config, tuning=tuning))
    for told in tuned.tuned.evaluations:
        loss = told.losses["task"]
        print(f"update {told.update:3}: {told.accuracy:.2f}, mse {loss:.3f}")
    right = tuned.stages["fixed"].right.mean()
    blocks = {block.num_weight_bits for block in tuned.fixed.blocks}
    print(f"{blocks} bits, tuned: fixed {right:.3f} of 200 other trials")


if __name__ == "__main__":
    main()
