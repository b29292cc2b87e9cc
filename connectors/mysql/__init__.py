"""MySQL and MariaDB, as source and as target."""
