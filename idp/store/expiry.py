"""What the clean-up of all tables has in common: it goes by batches.

What has expired is refused anyway (F21); here it is forgotten, so that tables level off. A ``delete_expired`` takes so
many rows at most, those that an index tells, answers how many went, and is called again while that was as many. Rows
that somebody holds are passed over, to be found by the next run: it is in nobody's way.
"""

BATCH = 1000
"""How many rows go at once, in some hundredths of a second."""


def count_of(status: str) -> int:
    """How many rows a statement has changed, by what the server says of it: ``DELETE 7``."""
    return int(status.rpartition(" ")[2])
