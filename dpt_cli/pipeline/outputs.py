"""The files of one map: drafted, claimed in the manifest, and given their names."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.entry import Format
from dpt_cli.formats.files import Draft
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.pipeline.manifest import Manifest, Stamps
from dpt_cli.pipeline.plan import Job


def write_claimed(
    manifest: Manifest,
    job: Job,
    formats: Mapping[str, Format],
    result: DepthMap | LabelMap,
    rgb: npt.NDArray[np.uint8] | None,
    options: Mapping[str, Any],
    *,
    force: bool,
) -> tuple[Stamps, dict[str, Any]]:
    """Write all outputs of a job, claim them, and give them their names.

    Returns:
        The stamps of the files by format, and what the formats report.

    Raises:
        OutputError: A file cannot, or must not, be written.
    """
    with drafted(job.outputs, formats, result, rgb, options, manifest.folder) as (drafts, more):
        files = {kind: draft.finish() for kind, draft in drafts.items()}
        known = {kind: manifest.known(path) for kind, path in job.outputs.items()}
        for kind, draft in drafts.items():
            draft.check(known[kind], overwrite=force)
        manifest.begin(job.photograph, job.outputs, files)
        for kind, draft in drafts.items():
            draft.publish(known[kind], overwrite=force)
    return files, more


@contextmanager
def drafted(
    outputs: Mapping[str, Path],
    formats: Mapping[str, Format],
    result: DepthMap | LabelMap,
    rgb: npt.NDArray[np.uint8] | None,
    options: Mapping[str, Any],
    root: Path | None = None,
) -> Iterator[tuple[dict[str, Draft], dict[str, Any]]]:
    """Write a map in each of its formats, beside the final names.

    Args:
        outputs: The final names by format.
        formats: The formats by name.
        result: The map.
        rgb: The photograph, uint8 (H, W, 3), where a format needs it.
        options: Of the formats.
        root: The folder that no output may leave through a link; None for any.

    Yields:
        The drafts by format, still to be finished and published, and what the formats report.
    """
    with ExitStack() as stack:
        drafts: dict[str, Draft] = {}
        reported: dict[str, Any] = {}
        for kind, path in outputs.items():
            drafts[kind] = stack.enter_context(Draft(path, root))
            reported |= formats[kind].write(drafts[kind], result, rgb, options)
        yield drafts, reported
