"""What can go wrong, one class a kind, each with the exit code of the command that meets it.

Raised in any room, turned into words and an exit status only in `cli`.
"""

import contextlib
import difflib
import traceback
from collections.abc import Iterable, Iterator

# Exit codes of a command that ends otherwise than by an error; an error's own stands in its class.
SOME_FAILED = 3  # the rest was done
INTERRUPTED = 130


class DptError(Exception):
    """Base of every error a user can cause or mend."""

    exit_code = 1


class RegistryError(DptError):
    """An unknown model name, or a registry file that does not parse."""

    exit_code = 2


class SettingsError(DptError):
    """A settings file that does not parse, or holds a key or a value that cannot be."""

    exit_code = 2


class ArgumentError(DptError, ValueError):
    """An argument of a Python function that cannot be."""

    exit_code = 2


class InputError(DptError):
    """A photograph that cannot be found, read or decoded."""


class CalibrationError(InputError):
    """Known distances that give no metres for a photograph."""

    exit_code = SOME_FAILED


class OutputError(DptError):
    """A file that cannot, or must not, be written."""


class DeviceError(DptError):
    """A device this machine does not have, or one too small for the weights."""


class ConversionError(DeviceError):
    """A network that cannot be converted for OpenVINO, kept, or run there; torch may do."""


class OutOfMemoryError(DptError):
    """Too little memory for one photograph, or for a batch of them."""


class NetworkOutputError(DptError):
    """The network gave numbers that cannot be true (NaN or infinity)."""


class UnexpectedError(DptError):
    """An error of one photograph that nobody foresaw: a defect of ours, or of a library."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"unexpected {type(error).__name__}: {error}")
        self.__cause__ = error

    @property
    def traceback(self) -> str:
        """Return the traceback, as Python prints it."""
        return "".join(traceback.format_exception(self.__cause__))

    @property
    def place(self) -> tuple[str, int, str]:
        """Return where it was raised and its class: the same for the same cause."""
        cause = self.__cause__
        frames = traceback.extract_tb(None if cause is None else cause.__traceback__)
        return frames[-1].filename, frames[-1].lineno or 0, type(cause).__name__


class FetchError(DptError):
    """Weights that could not be brought here or do not match their hash."""

    exit_code = 4


class CheckpointError(DptError):
    """A weights file that does not fit the network it was given to."""

    exit_code = 4


@contextlib.contextmanager
def errors_as(kind: type[DptError], what: str) -> Iterator[None]:
    """Turn the operating system's errors into ours, `what` before the reason."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}") from error
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise kind(f"{what}: {error}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the known word closest to one with a typo; empty where none is close."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1)
    return folded[close[0]] if close else ""
