"""What a person is told when a command cannot go on."""


class ShopError(Exception):
    """A server could not be started, filled or stopped; one line that says what to do."""
