"""Ways to find gradients: BPTT, e-prop, EventProp, FPTT."""
