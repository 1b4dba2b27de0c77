"""Where in the checkout the benchmarks find data and leave their pages."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ROOT / "examples" / "data"
"""Trained networks that come with isotau."""
RESULTS = ROOT / "docs" / "results"
