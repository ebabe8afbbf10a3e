"""The errors a user can meet, each class with the exit code of the command.

Any module raises them; only `cli` prints them and turns them into an exit status.
"""

import contextlib
import difflib
import traceback
from collections.abc import Iterable, Iterator

# Exit codes of commands that do not end with an error. Errors have theirs in their class.
SOME_FAILED = 3  # the rest succeeded
INTERRUPTED = 130


class DptError(Exception):
    """Base of every error that a user can cause or fix."""

    exit_code = 1


class RegistryError(DptError):
    """An unknown model name, or a registry file that does not parse."""

    exit_code = 2


class SettingsError(DptError):
    """A settings file that does not parse, or has an invalid key or value."""

    exit_code = 2


class ArgumentError(DptError, ValueError):
    """An invalid argument of a Python function."""

    exit_code = 2


class InputError(DptError):
    """A photograph that cannot be found, read or decoded."""


class CalibrationError(InputError):
    """Known distances that give no metres for a photograph."""

    exit_code = SOME_FAILED


class OutputError(DptError):
    """A file that cannot be written, or must not be overwritten."""


class DeviceError(DptError):
    """A device that this machine lacks, or that has too little memory for the weights."""


class ConversionError(DeviceError):
    """A network that cannot be converted for OpenVINO or run there; torch may be able to."""


class OutOfMemoryError(DptError):
    """Too little memory for a photograph or a batch."""


class NetworkOutputError(DptError):
    """The network returned NaN or infinity."""


class UnexpectedError(DptError):
    """An unforeseen error of one photograph: a defect of dpt or of a library."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"unexpected {type(error).__name__}: {error}")
        self.__cause__ = error

    @property
    def traceback(self) -> str:
        """Return the traceback, as Python prints it."""
        return "".join(traceback.format_exception(self.__cause__))

    @property
    def place(self) -> tuple[str, int, str]:
        """Return where it was raised and its class, which are equal for the same cause."""
        cause = self.__cause__
        frames = traceback.extract_tb(None if cause is None else cause.__traceback__)
        return frames[-1].filename, frames[-1].lineno or 0, type(cause).__name__


class FetchError(DptError):
    """Weights that could not be downloaded, or that do not match their hash."""

    exit_code = 4


class CheckpointError(DptError):
    """A weights file that is damaged or does not fit the network."""

    exit_code = 4


@contextlib.contextmanager
def errors_as(kind: type[DptError], what: str) -> Iterator[None]:
    """Raise errors of the operating system as `kind`, with `what` before the reason."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}") from error
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise kind(f"{what}: {error}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the known word that is closest to a misspelt one; empty where none is close."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1)
    return folded[close[0]] if close else ""
