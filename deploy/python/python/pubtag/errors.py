"""Exceptions, one for each exit code of the command line that means a failure."""


class PubtagError(Exception):
    """Any failure of pubtag."""

    exit_code: int = 70
    """The exit code of the command line for this failure."""


class UsageError(PubtagError, ValueError):
    """An argument is not valid."""

    exit_code = 2


class DataError(PubtagError):
    """The input is not what it should be: too many rejects, damaged files. Everything else is committed."""

    exit_code = 65


class InternalError(PubtagError):
    """A bug in pubtag: please report it."""

    exit_code = 70


class TransientError(PubtagError):
    """Something outside of pubtag failed and may work later: a full disk, a store that cannot be reached."""

    exit_code = 75


class ConfigurationError(PubtagError):
    """The setup is not valid: model, device, directory, or a conflict with existing output."""

    exit_code = 78


def of_exit_code(code: int, message: str) -> PubtagError:
    """The exception for an exit code."""
    for kind in (UsageError, DataError, TransientError, ConfigurationError):
        if kind.exit_code == code:
            return kind(message)
    error = InternalError(message)
    error.exit_code = code
    return error
