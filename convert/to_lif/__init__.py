"""Rate networks into LIF networks: calibration, λ, and what each unit lost."""
