"""Own Lava processes, alone: Lava's compiler runs every module of their folder."""
