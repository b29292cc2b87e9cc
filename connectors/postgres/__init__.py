"""PostgreSQL: source and target."""
