"""isotau: trained rate RNNs on neuromorphic hardware, their timescales measured."""
