"""Where a conversion is kept: opened if it is trusted, made again once if it is damaged.

What another user made, or what cannot be read or written, is left as it is.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from dpt_cli.checkpoint.fetch import Notify
from dpt_cli.engine.openvino.engine import OpenVinoEngine
from dpt_cli.engine.openvino.files import Conversion, DamagedError, ForeignError
from dpt_cli.engine.openvino.keep import move_in, remove
from dpt_cli.errors import ConversionError

Loaded = tuple[OpenVinoEngine, Conversion]
Make = Callable[[Path], Loaded]
"""Writes a conversion into an existing folder, and loads it."""


def open_or_make(
    place: Path,
    of: Mapping[str, str],
    make: Make,
    notify: Notify,
    *,
    must_keep: bool,
    in_bf16: bool = False,
) -> Loaded:
    """Load a conversion, or make one.

    Args:
        place: Its folder, or where it is to be.
        of: What it is made from.
        make: Makes one.
        notify: Receives lines for the user.
        must_keep: Raise rather than make one for this process alone.
        in_bf16: Compute an fp32 conversion in bf16; what `make` returns must do so, too.

    Raises:
        ConversionError: It cannot be made, kept or run.
    """
    why = ""
    for folder in (place, *_private(place)):
        try:
            conversion = Conversion.open(folder, of)
            return OpenVinoEngine(conversion, notify, in_bf16=in_bf16), conversion
        except FileNotFoundError:
            pass
        except DamagedError as error:
            notify(f"Converting again, because {folder.name} is damaged: {error}")
            try:
                remove(folder)
            except OSError as failure:
                why = f"cannot remove {folder}: {_reason(failure)}"
                continue
        except (ForeignError, OSError) as error:
            why = f"cannot use {folder}: {_reason(error)}"
            continue
        if why:
            notify(f"Using a conversion for this user alone: {why}")
        try:
            return _make_and_keep(folder, make)
        except (OSError, DamagedError) as error:
            why = f"cannot write to {folder.parent}: {_reason(error)}"
            break
    if must_keep:
        raise ConversionError(f"no conversion for OpenVINO: {why}")
    notify(f"Converting for this run alone: {why}")
    return _make_for_now(make)


def _private(place: Path) -> tuple[Path, ...]:
    """Return where this user's own conversion is kept if another user owns the first place."""
    if os.name != "posix":
        return ()
    return (place.with_name(f"{place.name}-{os.geteuid()}"),)


def _make_and_keep(place: Path, make: Make) -> Loaded:
    """Make a conversion beside its place, then move it there in one step."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=place.parent, prefix=f"{place.name}.", ignore_cleanup_errors=True
    ) as work:
        engine, conversion = make(Path(work))
        move_in(conversion.folder, place)
    return engine, Conversion(place, conversion.record)


def _make_for_now(make: Make) -> Loaded:
    """Make a conversion in a temporary folder that is removed with its engine or at exit."""
    try:
        work = tempfile.mkdtemp(prefix="dpt-")
        try:
            engine, conversion = make(Path(work))
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    except (OSError, DamagedError) as error:
        raise ConversionError(f"no conversion for OpenVINO: {_reason(error)}") from error
    weakref.finalize(engine, shutil.rmtree, work, ignore_errors=True)
    return engine, conversion


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
