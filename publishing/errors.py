"""What a person is told when a command cannot go on."""


class PublishingError(Exception):
    """A command was refused or failed; the message is one line that says what to do.

    What was published before is served as it was when this is raised.
    """


class UsageError(Exception):
    """The command line asks for something that is not there; one line with the nearest valid."""
