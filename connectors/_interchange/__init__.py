"""The interchange form: how values travel between systems of different kinds.

Values are in PostgreSQL's own send or text form and types go by PostgreSQL's names, whatever the
source: the form is published, exact, and has a type for nearly everything. Here is what every
connector that reads or writes it needs: the order and the hash of keys, rows in COPY data, and the
loops that are compiled.
"""
