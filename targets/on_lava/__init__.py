"""Networks as Lava processes: run, checked, exported, profiles grouped."""
