"""Read photographs, write their maps, and record both in the manifest of the output folder."""

import os
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.specs import CheckpointSpec, InputSpec, OutputSpec
from dpt_cli.engine.choice import has_gpu, resolve_engine
from dpt_cli.errors import InputError, UnexpectedError
from dpt_cli.formats.table import formats_of
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.maps.facts import facts_of
from dpt_cli.photos.decode import decode_photo
from dpt_cli.photos.source import Stamp, read_stamped
from dpt_cli.pipeline.events import Failed
from dpt_cli.pipeline.lazy_engine import LazyEngine
from dpt_cli.pipeline.manifest import Decision, Manifest, Recipe
from dpt_cli.pipeline.outputs import write_claimed
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.saved import read_depth
from dpt_cli.pipeline.settings import EngineSettings, RunSettings


class Record:
    """Reads photographs and writes their maps, recording each step in the manifest."""

    def __init__(
        self,
        manifest: Manifest,
        engine: LazyEngine,
        spec: CheckpointSpec,
        settings: RunSettings,
    ) -> None:
        self._manifest, self._engine, self._spec = manifest, engine, spec
        self._settings = settings
        self._formats = formats_of(spec.task)
        self._shared = _shared_settings(spec, settings)
        self._options = {
            name: {key: _as_json(settings.options[key]) for key in self._formats[name].options}
            for name in settings.formats
        }
        self._begun: dict[Path, tuple[Stamp, float]] = {}

    def decide(self, job: Job) -> Decision:
        """Return what to do with a photograph."""
        # Without records or outputs nothing is skipped, and the weights need not be known.
        may_be_done = self._manifest.num_records and any(map(os.path.lexists, job.outputs.values()))
        recipe = self._recipe(job, "", self._expected_sha256() if may_be_done else "")
        return self._manifest.decide(job.photograph, job.outputs, recipe)

    def _expected_sha256(self) -> str:
        """Return the hash of the weights; a dry run downloads nothing and asks the registry."""
        if self._settings.dry_run and not self._engine.is_here:
            return next((source.sha256 for source in self._spec.sources), None) or ""
        return self._engine.weights.sha256

    def num_deaths(self, job: Job) -> int:
        """Return how often a run was killed while it worked on a photograph."""
        return self._manifest.num_deaths(job.photograph)

    def read(self, job: Job) -> bytes:
        """Read a photograph's file, once."""
        started = time.monotonic()
        self._manifest.reading(job.photograph)
        data, stamp = read_stamped(job.photograph)
        if self._settings.depth is not None:
            self._settings.depth.check(job.photograph, str(stamp["sha256"]))
        self._begun[job.photograph] = (stamp, started)
        return data

    def write(
        self, result: DepthMap | LabelMap, rgb: npt.NDArray[np.uint8] | None, job: Job
    ) -> dict[str, Any]:
        """Write all outputs of a photograph, claim them, publish them and record them.

        Returns:
            The facts of the map.

        Raises:
            OutputError: A file cannot be written, or must not be overwritten.
        """
        stamp, started = self._begun.pop(job.photograph)
        result = result.made_from(job.photograph.name)
        return self._written(result, rgb, job, stamp, started, self._engine.load().device)

    def write_saved(self, saved: Path, job: Job) -> dict[str, Any]:
        """Write outputs from a map that this folder's run saved, as `write` does from the network.

        Returns:
            The facts of the map.

        Raises:
            InputError: The map cannot be read, or a format shows the photograph, which is gone.
            OutputError: A file cannot be written, or must not be overwritten.
        """
        started = time.monotonic()
        made, rgb = self._manifest.made_as(saved), None
        # What the map was made of, even if the photograph has changed since.
        stamp = {key: made["input"][key] for key in ("size", "mtime_ns", "sha256")}
        if any(self._formats[kind].needs_photograph for kind in job.outputs):
            data, found = read_stamped(job.photograph)
            if found["sha256"] != stamp["sha256"]:
                raise InputError("changed while its map was made: run the same command again")
            rgb = decode_photo(data).rgb
        return self._written(read_depth(saved), rgb, job, stamp, started, made["facts"]["device"])

    def _written(
        self,
        result: DepthMap | LabelMap,
        rgb: npt.NDArray[np.uint8] | None,
        job: Job,
        stamp: Stamp,
        started: float,
        device: str,
    ) -> dict[str, Any]:
        manifest, force = self._manifest, self._settings.force
        options = self._settings.options_for(job.photograph)
        files, more = write_claimed(manifest, job, self._formats, result, rgb, options, force=force)
        facts = facts_of_run(device, result, more, started)
        weights = self._engine.weights
        recipe = self._recipe(job, weights.label, weights.sha256)
        manifest.done(job.photograph, stamp, job.outputs, files, recipe, facts)
        return facts

    def failed(self, outcome: Failed) -> None:
        """Record a failure."""
        self._begun.pop(outcome.job.photograph, None)
        error = outcome.error
        traceback = error.traceback if isinstance(error, UnexpectedError) else ""
        self._manifest.failed(outcome.job.photograph, str(error), traceback)

    def _recipe(self, job: Job, weights: str, sha256: str) -> Recipe:
        known, depth = self._settings.known, self._settings.depth
        calibrated_by = None if known is None else known.as_json(job.photograph)
        options = self._options
        if "stats" in options:
            measured_by = None if depth is None else depth.as_json(job.photograph)
            options = {**options, "stats": {**options["stats"], "depth": measured_by}}
        return Recipe({**self._shared, "known": calibrated_by}, weights, sha256, options)


def facts_of_run(
    device: str,
    result: DepthMap | LabelMap,
    reported: Mapping[str, Any],
    started: float,
) -> dict[str, Any]:
    """Return the facts of a photograph whose outputs are written; see `Done`."""
    return {
        **facts_of(result),
        **reported,
        "device": device,
        "seconds": round(time.monotonic() - started, 3),
    }


# Recorded with what a user may give instead.
_ELSEWHERE = ("target_hw", "multiple_of")


def _shared_settings(spec: CheckpointSpec, settings: RunSettings) -> dict[str, Any]:
    """Return what decides the bytes of every format, with `auto` resolved."""
    run = settings.engine
    engine = resolve_engine(run.engine, run.device, run.precision)
    # The same weights under another row give other maps: in metres, or with another mean.
    return {
        "input": _facts(spec.input, "mean", "std", "interpolation"),
        "output": _facts(spec.output, "quantity", "scale", "shift"),
        "task": spec.task,
        "target_hw": list(settings.resolution or spec.input.target_hw),
        "multiple_of": settings.multiple_of or spec.multiple_of,
        "precision": expected_precision(run, engine),
        "engine": engine,
        "fov_deg": settings.fov_deg,
        # None for the default: what was made before there was a choice stays done.
        "size": None if settings.size == "photo" else settings.size,
    }


def _facts(spec: InputSpec | OutputSpec, *always: str) -> dict[str, Any]:
    """Return the fields that decide bytes: some always, others where they are not the default.

    So manifests stay true when a field is added whose default is what was done before.
    """
    return {
        field.name: getattr(spec, field.name)
        for field in fields(spec)
        if field.name in always
        or (field.name not in _ELSEWHERE and getattr(spec, field.name) != field.default)
    }


def _as_json(value: Any) -> Any:
    return sorted(value) if isinstance(value, tuple) else value


def expected_precision(settings: EngineSettings, engine: str) -> str:
    """Return the precision that `auto` stands for, without torch where there is no GPU."""
    if settings.precision != "auto":
        return settings.precision
    if engine == "openvino" or settings.device == "cpu" or not has_gpu():
        return "fp32"
    from dpt_cli.engine.torch.engine import resolve_device, resolve_precision

    return resolve_precision("auto", resolve_device(settings.device))
