"""Measures settings one by one: warm-up, timed calls, memory, drift.

Skips settings that would not fit into memory, as the settings measured before them predict.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from dpt_cli.bench.estimate import count_operations
from dpt_cli.bench.forecast import objection_to_weights
from dpt_cli.bench.loaded import RGB, Loaded, Model
from dpt_cli.bench.peaks import Peaks
from dpt_cli.bench.rows import Row, Setting
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.errors import DeviceError, DptError, NetworkOutputError, OutOfMemoryError
from dpt_cli.metrics.drift import measure_of

# A call that takes longer than this is announced with its duration [s].
_LONG_S = 30.0

_count_operations_once = cache(count_operations)


class Bench:
    """Measures settings.

    Attributes:
        rows: The results so far, in the order measured; they stay if the run is interrupted.
    """

    def __init__(
        self,
        load: Callable[[CheckpointSpec], Model],
        device: str,
        photographs: Sequence[RGB],
        peaks: Mapping[str, Peaks],
        num_runs: int | None,
        notify: Callable[[str], None],
    ) -> None:
        """Prepare a benchmark.

        Args:
            load: Loads a model; called once per model.
            device: Where networks run.
            photographs: Photographs for drift; empty for no drift.
            peaks: This machine's known peaks, by precision.
            num_runs: Timed calls per row; None for as many as fit into a few seconds.
            notify: Receives one line for the user.
        """
        self.rows: list[Row] = []
        self._num_settings = 0
        self._load, self._device, self._peaks = load, device, peaks
        self._photographs, self._num_runs, self._notify = photographs, num_runs, notify

    def run(self, settings: Sequence[Setting]) -> None:
        """Measure all settings of a network before loading the next one.

        The settings of a network should go from small to large, so that memory can be predicted.

        Raises:
            DptError: The weights cannot be loaded, or the device does not exist.
        """
        self._num_settings = len(self.rows) + len(settings)
        for spec in dict.fromkeys(setting.spec for setting in settings):
            chosen = [setting for setting in settings if setting.spec == spec]
            reason = objection_to_weights(spec.num_parameters, self._device)
            if reason is None:
                try:
                    network = Loaded(self._load(spec), self._device)
                except (DeviceError, OutOfMemoryError, MemoryError) as error:
                    reason = str(error) or "out of memory"
                else:
                    self._measure_all(network, chosen)
                    del network  # before the next is loaded
            if reason is not None:
                self._skip(chosen, reason)

    def _measure_all(self, network: Loaded, settings: Iterable[Setting]) -> None:
        for setting in settings:
            self._measure(network, setting)
            if self.rows[-1].is_measured and network.model.has_weights and self._photographs:
                self.rows[-1] = self._with_drift(network, self.rows[-1])

    def _skip(self, settings: Iterable[Setting], reason: str) -> None:
        for setting in settings:
            self._notify(f"{setting}: skipped, {reason}")
            self.rows.append(Row(setting, self._device, None, "skipped", reason))

    def _measure(self, network: Loaded, setting: Setting) -> None:
        operations = _count_operations_once(setting.spec.architecture, setting.network_hw)
        row = Row(setting, self._device, network.model.weights, operations=operations)
        peaks = self._peaks.get(setting.precision)
        least_s = peaks.least_seconds(operations) * setting.batch_size if peaks else 0.0
        long = f", at least {least_s / 60:.0f} min per call" if least_s > _LONG_S else ""
        self._notify(f"{len(self.rows) + 1} of {self._num_settings}: {setting}{long}")
        try:
            reason = network.objection(setting.precision, setting.network_hw, setting.batch_size)
            if reason is None:
                seconds, memory, note = network.times(setting, self._num_runs)
                row = replace(row, seconds=seconds, memory=memory, note=note)
                if peaks:
                    row = replace(row, share_of_peak=least_s / row.median_s)
            else:
                row = replace(row, status="skipped", note=reason)
        except (OutOfMemoryError, MemoryError) as error:
            row = replace(row, status="out of memory", note=str(error) or "out of memory")
        except NetworkOutputError as error:
            row = replace(row, status="failed", note=str(error))
        if not row.is_measured:
            self._notify(f"{setting}: {row.status}, {row.note}")
        self.rows.append(row)

    def _with_drift(self, network: Loaded, row: Row) -> Row:
        setting = row.setting
        try:
            drift = network.drift(setting, self._photographs)
            if not math.isfinite(drift):
                raise NetworkOutputError("the reference has no valid depth")
        except (DptError, MemoryError) as error:
            note = f"no drift: {str(error) or 'out of memory'}"
            self._notify(f"{setting}: {note}")
            return replace(row, note="; ".join(filter(None, (row.note, note))))
        measure = measure_of(setting.spec.output.quantity)
        return replace(row, drift=drift, drift_measure=measure)
