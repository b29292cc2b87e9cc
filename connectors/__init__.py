"""One folder per system; `engine/registry.py` holds their names."""
