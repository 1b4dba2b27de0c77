"""isotau: a trained rate RNN on neuromorphic hardware, and whether its timescales survived."""
