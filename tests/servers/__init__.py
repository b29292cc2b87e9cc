"""Real servers for tests, each private to one test run and gone with it."""
