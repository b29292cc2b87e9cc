"""Which Penstock this is. The package's metadata takes it from here: reading it back from there
would cost every start of a process fifteen milliseconds."""

VERSION = "0.1.0"
