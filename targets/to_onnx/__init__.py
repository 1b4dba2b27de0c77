"""Fixed-point networks as integer ONNX graphs, to the bit; and how ONNX is written."""
