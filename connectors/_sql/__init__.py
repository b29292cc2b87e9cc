"""SQL text shared by connectors that speak it."""
