"""Tests: `servers` starts real servers, the other folders are tiers (see docs/servers.md)."""
