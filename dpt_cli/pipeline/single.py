"""One photograph without a manifest: from a file or a stream, into named files or a stream."""

import hashlib
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.errors import DptError, InputError, OutputError
from dpt_cli.formats.table import formats_of
from dpt_cli.photos.source import read_file
from dpt_cli.pipeline.events import Done, Failed
from dpt_cli.pipeline.plan import Job, check_folder
from dpt_cli.pipeline.settings import RunSettings, map_quantity

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dpt_cli.engine import Engine
    from dpt_cli.maps import DepthMap, LabelMap
    from dpt_cli.pipeline.lazy_engine import LazyEngine


@dataclass
class Single:
    """A planned run over one photograph: nothing is read or loaded yet.

    Attributes:
        spec: The weights' row.
        settings: What to make, and how. The output folder is not used.
        job: The photograph and its outputs; no outputs if `target` is given.
        source: A stream to read the photograph from; None to read its file.
        target: A stream to write the first format to; None to write files.
        engine: The network, once the events have begun.
    """

    spec: CheckpointSpec
    settings: RunSettings
    job: Job
    source: BinaryIO | None = None
    target: BinaryIO | None = None
    engine: "LazyEngine | None" = field(default=None, init=False)
    _data: bytes = field(default=b"", init=False, repr=False)
    _started: float = field(default=0.0, init=False, repr=False)

    def events(
        self,
        notify: Callable[[str], None] = lambda _line: None,
        on_loaded: Callable[["Engine"], None] = lambda _engine: None,
    ) -> Generator[Done, None, None]:
        """Process the photograph and yield its event.

        Args:
            notify: Receives lines for the user: what is downloaded, loaded or converted.
            on_loaded: Called once the network is ready.

        Raises:
            DptError: The photograph cannot be read, the weights or the device cannot be used, or
                an output cannot be written.
        """
        from dpt_cli.pipeline import local
        from dpt_cli.pipeline.lazy_engine import LazyEngine
        from dpt_cli.pipeline.stages import stages_of

        self.engine = LazyEngine(self.spec, self.settings.engine, notify, on_loaded)
        self.engine.load_ahead()
        self._started = time.monotonic()
        if self.source is not None:
            # Read in this thread, where an interrupt ends the wait for a pipe.
            self._data = self.source.read()
        stages = stages_of(self.spec, self.settings, self.engine, self._read, self._write)
        with closing(local.run([self.job], stages)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Failed):
                    raise self._named(outcome.error)
                yield outcome

    def _read(self, job: Job) -> bytes:
        if self.source is not None:
            return self._data
        data, _ = read_file(job.photograph)
        if self.settings.depth is not None:
            self.settings.depth.check(job.photograph, hashlib.sha256(data).hexdigest())
        return data

    def _write(
        self,
        result: "DepthMap | LabelMap",
        rgb: "npt.NDArray[np.uint8] | None",
        job: Job,
    ) -> Mapping[str, Any]:
        from dpt_cli.pipeline.outputs import drafted
        from dpt_cli.pipeline.record import facts_of_run

        assert self.engine is not None
        if self.source is None:
            result = result.made_from(job.photograph.name)
        formats, options = formats_of(self.spec.task), self.settings.options_for(job.photograph)
        if self.target is not None:
            more = formats[self.settings.formats[0]].write(self.target, result, rgb, options)
            self.target.flush()
        else:
            with drafted(job.outputs, formats, result, rgb, options) as (drafts, more):
                for draft in drafts.values():
                    draft.finish()
                for draft in drafts.values():
                    draft.publish(overwrite=self.settings.force)
        return facts_of_run(self.engine.load().device, result, more, self._started)

    def _named(self, error: DptError) -> DptError:
        """Return the error with the name of the photograph, if that has one."""
        name = f"{self.job.photograph}: "
        if self.source is None and isinstance(error, InputError):
            return type(error)(name + str(error).removeprefix(name))
        return error


def plan_single(
    spec: CheckpointSpec,
    settings: RunSettings,
    job: Job,
    source: BinaryIO | None = None,
    target: BinaryIO | None = None,
) -> Single:
    """Plan a run over one photograph; see `Single` for the arguments.

    Raises:
        ArgumentError: A format is not true of the maps, or known distances are given for a metric
            model.
        OutputError: An output exists already, or its folder cannot be written.
    """
    quantity = map_quantity(spec, settings)
    for name in settings.formats:
        formats_of(spec.task)[name].check(quantity)
    for path in job.outputs.values():
        check_folder(path.parent)
        if path.exists() and not settings.force:
            raise OutputError(f"{path} already exists; use --force to overwrite it")
    return Single(spec, settings, job, source, target)
