"""A client of the daemon's API, for the commands: AWS's operations and our own routes."""
