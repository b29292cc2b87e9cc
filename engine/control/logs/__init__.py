"""Logs in the two streams that AWS DMS Serverless writes, as files."""
