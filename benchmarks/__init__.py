"""Measurements against peers: `python -m benchmarks [CASE ...]` prints a JSON object per case."""
