"""(pure) The binary log: bytes in, events and rows out."""
