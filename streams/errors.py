"""The errors that are for people."""


class BreachwatchError(Exception):
    """A known fault: its text says what is wrong and what to do, and is all that a command prints of it."""
