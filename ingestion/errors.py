"""What a person is told when a load cannot go on."""


class LoadError(Exception):
    """A load was refused or failed; the message is one line that says what to do.

    Nothing of the load is in the warehouse when this is raised.
    """
