"""Networks as ONNX models: integers to the bit, floats, and their verification."""
