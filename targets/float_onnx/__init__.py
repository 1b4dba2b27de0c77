"""Rate networks and LIF networks in floats as ONNX graphs."""
