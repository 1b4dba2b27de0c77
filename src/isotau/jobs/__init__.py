"""Jobs that join the rooms: a network through all stages, many networks compared."""
