"""The `penstock` command."""

from engine.control.cli.app import main

__all__ = ["main"]
