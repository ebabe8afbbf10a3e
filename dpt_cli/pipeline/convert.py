"""Saved depth maps into other formats: no network, no photograph, no torch."""

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.errors import ArgumentError, DptError, InputError, OutputError
from dpt_cli.formats.entry import Format
from dpt_cli.formats.table import formats_of
from dpt_cli.photos.find import BadInput, Photograph
from dpt_cli.pipeline.events import Done, Failed, Skipped
from dpt_cli.pipeline.plan import Job, check_folder, plan
from dpt_cli.pipeline.saved import NOTHING_ADDED, Additions, Saved
from dpt_cli.pipeline.shared_range import FOLDER, common_range

if TYPE_CHECKING:
    from dpt_cli.pipeline.manifest import Manifest

# Where a folder holds a map in several formats, one is taken: the exact ones first.
_PREFERRED = (".npz", ".npy", ".exr", ".tiff", ".tif", ".pfm", ".png")
_UNTOUCHED = {
    "foreign": "output already exists and was not made from this map by dpt",
    "edited": "output was changed since dpt made it",
}
Event = Done | Skipped | Failed


@dataclass(frozen=True)
class Conversion:
    """Maps to convert, and what to write.

    Attributes:
        jobs: The maps and their outputs by format.
        failures: Inputs that are no maps, or that cannot have an output.
        formats: Names of the formats.
        options: Of the formats; `range` may be `folder`.
        output: The output folder; None where an output is a file that was named.
        force: Whether to convert again, and to overwrite files that are not ours.
        additions: What the user adds to the maps.
    """

    jobs: Sequence[Job]
    failures: Sequence[BadInput]
    formats: Sequence[str]
    options: Mapping[str, Any]
    output: Path | None
    force: bool = False
    additions: Additions = NOTHING_ADDED

    def events(
        self, notify: Callable[[str], None] = lambda _line: None
    ) -> Generator[Event, None, None]:
        """Convert every map and yield what became of it.

        Args:
            notify: Takes one line for the user.

        Raises:
            OutputError: The output folder cannot be used.
            ArgumentError: The maps have no range in common, or one is needed; or known distances
                fit several maps.
        """
        from dpt_cli.formats.files import is_temporary
        from dpt_cli.pipeline.manifest import Manifest

        known = formats_of("depth")
        for name in self.additions.check(job.photograph for job in self.jobs):
            notify(f"known distances for {name}, of which there is no map")
        for bad in self.failures:
            yield Failed(Job(bad.path, {}), InputError(bad.reason))
        options = dict(self.options)
        wants_range = any(known[name].shares_range for name in self.formats)
        if options["range"] == FOLDER or (wants_range and options["range"] is None):
            options["range"] = self._common_range()
        if self.output is None:
            for job in self.jobs:
                yield self._into_file(job, known, options)
            return
        with Manifest(self.output) as manifest:
            manifest.sweep(is_temporary)
            for job in self.jobs:
                yield self._converted(job, manifest, known, options)

    def _into_file(
        self, job: Job, known: Mapping[str, Format], options: Mapping[str, Any]
    ) -> Event:
        from dpt_cli.pipeline.outputs import drafted

        started = time.monotonic()
        try:
            saved = self.additions.read(job.photograph)
            with drafted(job.outputs, known, saved.depth_map, saved.rgb, options) as (drafts, more):
                for draft in drafts.values():
                    draft.finish()
                    draft.publish(overwrite=self.force)
        except (InputError, OutputError, ArgumentError) as error:
            return Failed(job, error)
        return Done(job, _facts(saved, more, started))

    def _converted(
        self, job: Job, manifest: "Manifest", known: Mapping[str, Format], options: dict[str, Any]
    ) -> Event:
        from dpt_cli.photos.source import stamp_of
        from dpt_cli.pipeline.manifest import Recipe
        from dpt_cli.pipeline.outputs import write_claimed

        own = {name: {key: options[key] for key in known[name].options} for name in self.formats}
        started = time.monotonic()
        try:
            saved = self.additions.read(job.photograph)
        except InputError as error:
            manifest.failed(job.photograph, str(error))
            return Failed(job, error)
        # The map brings its weights along; they are among its facts.
        recipe = Recipe({"task": "convert", **saved.recipe}, "", "", own)
        decision = "do" if self.force else manifest.decide(job.photograph, job.outputs, recipe)
        if decision == "skip":
            return Skipped(job)
        if decision != "do":
            reason = f"{_UNTOUCHED[decision]}; use another --output, or --force"
            return Failed(job, OutputError(reason))
        try:
            stamp = stamp_of(job.photograph)
            files, more = write_claimed(
                manifest, job, known, saved.depth_map, saved.rgb, options, force=self.force
            )
        except (InputError, OutputError, ArgumentError) as error:
            manifest.failed(job.photograph, str(error))
            return Failed(job, error)
        facts = _facts(saved, more, started)
        manifest.done(job.photograph, stamp, job.outputs, files, recipe, facts)
        return Done(job, facts)

    def _common_range(self) -> tuple[float, float] | None:
        """Return the least and the greatest value of all maps; unreadable ones fail later.

        Raises:
            ArgumentError: Some are metric and some are not.
        """
        spans, quantities = [], set()
        for job in self.jobs:
            try:
                depth_map = self.additions.read(job.photograph).depth_map
            except DptError:
                continue
            quantities.add(depth_map.quantity)
            spans.append(depth_map.span)
        if len(quantities) > 1:
            raise ArgumentError("one range for metric and for relative maps: convert them apart")
        return common_range(spans)


def plan_conversion(
    inputs: Sequence[Path],
    output: Path,
    formats: Sequence[str],
    options: Mapping[str, Any],
    *,
    is_file: bool = False,
    force: bool = False,
    additions: Additions = NOTHING_ADDED,
) -> Conversion:
    """Find saved maps and work out every output.

    Args:
        inputs: Files, and folders that are searched all the way. Of a map in several formats a
            folder gives the most exact one. A file that is given twice counts once.
        output: The output folder, or the output file.
        formats: Names of formats or presets.
        options: Of the formats.
        is_file: Whether `output` is a file.
        force: Whether to convert again, and to overwrite files that are not ours.
        additions: What the user adds to the maps.

    Raises:
        InputError: There is nothing to convert.
        OutputError: The output cannot be written.
    """
    maps: list[Photograph] = []
    failures: list[BadInput] = []
    for given in inputs:
        if given.is_dir():
            maps += _maps_in(given, output)
        elif given.is_file():
            maps.append(Photograph(given, Path(_stem(given.name) + given.suffix)))
        else:
            failures.append(BadInput(given, "No such file or directory"))
    once: dict[str, Photograph] = {}
    for one in maps:
        once.setdefault(os.path.realpath(one.path), one)
    maps = list(once.values())
    if not (maps or failures):
        names = ", ".join(map(str, inputs))
        raise InputError(f"no saved depth maps in {names}: they end in {', '.join(_PREFERRED)}")
    if is_file:
        check_folder(output.parent)
        if any(os.path.realpath(one.path) == os.path.realpath(output) for one in maps):
            raise OutputError(f"{output} is the map itself; choose another name")
        if os.path.lexists(output) and not force:
            raise OutputError(f"{output} exists; use --force to overwrite it")
        jobs = [Job(one.path, {formats[0]: output}) for one in maps]
        return Conversion(jobs, failures, formats, options, None, force, additions)
    check_folder(output)
    suffixes = {name: formats_of("depth")[name].suffix for name in formats}
    jobs, clashing = plan(maps, output, suffixes)
    return Conversion(jobs, [*failures, *clashing], formats, options, output, force, additions)


def _maps_in(folder: Path, output: Path) -> list[Photograph]:
    """Return the maps below a folder, one per photograph, without those of the output folder."""
    from dpt_cli.formats.read import is_16_bit_png

    best: dict[Path, tuple[int, Path]] = {}
    skipped = os.path.realpath(output)
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if os.path.realpath(Path(root, one)) != skipped)
        for path in (Path(root, name) for name in sorted(names)):
            suffix = path.suffix.lower()
            if suffix not in _PREFERRED or (suffix == ".png" and not is_16_bit_png(path)):
                continue
            stem = path.relative_to(folder).with_name(_stem(path.name))
            rank = _PREFERRED.index(suffix)
            if stem not in best or rank < best[stem][0]:
                best[stem] = rank, path
    return [
        Photograph(path, stem.with_name(stem.name + path.suffix))
        for stem, (_, path) in best.items()
    ]


def _stem(name: str) -> str:
    """Return the name of a map without what dpt put behind that of its photograph."""
    suffixes = [it.suffix for it in formats_of("depth").values() if not it.read_by]
    fitting = [suffix for suffix in suffixes if name.endswith(suffix) and name != suffix]
    return name.removesuffix(max(fitting, key=len, default=Path(name).suffix))


def _facts(saved: Saved, more: Mapping[str, Any], started: float) -> dict[str, Any]:
    from dpt_cli.maps.facts import facts_of

    seconds = round(time.monotonic() - started, 3)
    return {**facts_of(saved.depth_map), **more, "seconds": seconds}
