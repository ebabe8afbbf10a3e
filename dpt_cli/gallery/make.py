"""Make the page of an output folder, and what it loads per picture."""

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dpt_cli.errors import DptError, InputError, OutputError, UnexpectedError
from dpt_cli.formats.files import Draft, is_temporary
from dpt_cli.gallery.layers import layer_of
from dpt_cli.gallery.page import page
from dpt_cli.gallery.pictures import PAGE_NAME, Picture, contents_of
from dpt_cli.gallery.previews import preview, thumbnail
from dpt_cli.host import num_cores
from dpt_cli.photos.decode import read_rgb
from dpt_cli.photos.source import is_same
from dpt_cli.pipeline.manifest import MANIFEST_NAME, Manifest

# Hidden: a search for photographs passes over it.
FILES_NAME = ".dpt-gallery"

_OURS = re.compile(r"([0-9a-f]{20})(?:\.js|\.jpg|-small\.jpg)")
# A worker holds a decoded photograph.
_MAX_WORKERS = 4


@dataclass(frozen=True)
class Gallery:
    """What was made.

    Attributes:
        page: The page.
        num_pictures: How many pictures it shows.
        num_alone: How many of them lack the photograph, which is gone or was changed.
        num_without_values: How many of them have no values under the pointer.
        left_out: Files that are not shown, each with the reason.
    """

    page: Path
    num_pictures: int
    num_alone: int
    num_without_values: int
    left_out: list[tuple[Path, str]]


def make_gallery(
    folder: Path, *, force: bool = False, progress: Callable[[int, int], None] = lambda *_: None
) -> Gallery:
    """Make `index.html` in an output folder; what is there already from before is kept.

    Args:
        folder: The output folder of earlier runs.
        force: Replace an `index.html` that is somebody else's.
        progress: Takes how many pictures are ready, and of how many.

    Raises:
        InputError: The folder has no maps.
        OutputError: It cannot be written, a run is writing there, or `index.html` is not ours.
    """
    if not os.path.lexists(folder / MANIFEST_NAME):
        raise InputError(
            f"{folder} holds no maps that dpt made (it has no {MANIFEST_NAME}): "
            "name the folder that 'dpt depth -o' or 'dpt segment -o' wrote into"
        )
    with Manifest(folder) as manifest:
        path = folder / PAGE_NAME
        # Now, and once more at the end: making the files takes minutes for thousands of pictures.
        _check(path, manifest, force=force)
        manifest.sweep(is_temporary)
        contents = contents_of(folder, manifest)
        left_out = [*contents.left_out]
        pictures = []
        with ThreadPoolExecutor(min(_MAX_WORKERS, num_cores())) as workers:
            errors = workers.map(lambda picture: _make_files(folder, picture), contents.pictures)
            outcomes = zip(contents.pictures, errors, strict=True)
            for num_ready, (picture, error) in enumerate(outcomes, 1):
                if error is None:
                    pictures.append(picture)
                else:
                    left_out.append((folder / picture.name, str(error)))
                progress(num_ready, len(contents.pictures))
        if not pictures:
            reason = "{}: {}".format(*left_out[0]) if left_out else "no run finished one there"
            raise InputError(f"no map in {folder} can be shown; {reason}")
        _publish(path, page(folder, pictures, FILES_NAME), manifest, force=force)
        _sweep(folder / FILES_NAME, {picture.key for picture in pictures})
    return Gallery(
        path,
        len(pictures),
        sum(picture.photograph is None for picture in pictures),
        sum(not picture.has_values for picture in pictures),
        left_out,
    )


def check_page(folder: Path, *, force: bool = False) -> None:
    """Refuse a folder whose `index.html` a page may not replace, before a run that ends in one.

    Raises:
        OutputError: It has one that dpt did not make, or that was changed since.
    """
    path = folder / PAGE_NAME
    with Manifest(folder, read_only=True) as manifest:
        _check(path, manifest, force=force)


def _check(path: Path, manifest: Manifest, *, force: bool) -> None:
    if force or not os.path.lexists(path):
        return
    if not any(is_same(path, stamp) for stamp in manifest.known(path)):
        raise OutputError(
            f"{path} was not made by dpt, or was changed since: move it away, "
            "or use --force to replace it"
        )


def _make_files(folder: Path, picture: Picture) -> DptError | None:
    """Write what the page loads for a picture unless it is there; return why it cannot be."""
    files = folder / FILES_NAME
    thumbnail_path, preview_path = files / f"{picture.key}-small.jpg", files / f"{picture.key}.jpg"
    script_path = files / f"{picture.key}.js"
    wanted = [thumbnail_path, script_path, *([preview_path] if picture.photograph else [])]
    if all(path.is_file() for path in wanted):
        return None
    try:
        rgb = read_rgb(picture.photograph) if picture.photograph else None
        layers = [layer_of(folder, layer) for layer in picture.layers]
    except InputError as error:
        return error
    except Exception as error:  # noqa: BLE001  # a damaged line must not cost the other pictures
        return UnexpectedError(error)
    _write(thumbnail_path, thumbnail(rgb, layers[0][1]), folder)
    if rgb is not None:
        _write(preview_path, preview(rgb), folder)
    about = {
        "photograph_size": None if rgb is None else rgb.shape[1::-1],
        "layers": [shown for shown, _ in layers],
    }
    script = f"dptPicture({json.dumps(picture.key)}, {json.dumps(about, allow_nan=False)});\n"
    _write(script_path, script.encode("ascii"), folder)
    return None


def _write(path: Path, data: bytes, root: Path) -> None:
    with Draft(path, root) as draft:
        draft.write(data)
        draft.finish()
        # Its name is a hash of what it was made of: one that is there already is the same.
        draft.publish(overwrite=True)


def _publish(path: Path, text: str, manifest: Manifest, *, force: bool) -> None:
    with Draft(path, manifest.folder) as draft:
        draft.write(text.encode("utf-8"))
        stamp = draft.finish()
        known = manifest.known(path)
        draft.check(known, overwrite=force)
        manifest.wrote(path, stamp, "begun")
        draft.publish(known, overwrite=force)
        manifest.wrote(path, stamp, "done")


def _sweep(files: Path, keys: set[str]) -> None:
    """Remove what earlier pages loaded and this one does not; other files stay."""
    if files.is_symlink():
        return
    for path in files.iterdir():
        if (ours := _OURS.fullmatch(path.name)) and ours[1] not in keys:
            with suppress(OSError):
                path.unlink()
