"""A target that discards rows, to measure everything before it."""
