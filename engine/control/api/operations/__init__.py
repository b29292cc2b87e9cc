"""The operations of AWS DMS that are served, one module for each group of resources."""
