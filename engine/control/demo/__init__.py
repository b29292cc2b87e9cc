"""`make demo`: a full load and a live stream between two embedded PostgreSQL servers.

Everything happens in one temporary directory and is gone afterwards. `penstock run` and `penstock
compare` run as the processes a user starts.
"""
