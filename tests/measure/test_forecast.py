"""Settings that will not fit are predicted from what smaller sizes took."""

import pytest

from dpt_cli.bench import forecast
from dpt_cli.bench.estimate import ACTIVATION_BYTES_PER_PIXEL
from dpt_cli.bench.forecast import MemoryForecast, objection_to_weights
from dpt_cli.bench.rows import Memory

# With one channel, a pixel has three numbers of image and two of result.
RESULT_BYTES = 4 * 5


def fits(
    monkeypatch: pytest.MonkeyPatch, it: MemoryForecast, free: float, pixels: int, batch: int = 1
) -> bool:
    monkeypatch.setattr(forecast, "free_bytes", lambda _device: int(free))
    return it.objection("fp32", pixels, batch) is None


def test_before_anything_is_measured_it_is_the_slope_of_the_published_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = MemoryForecast("cpu", num_channels=1)
    need = 1.1 * 1e6 * (ACTIVATION_BYTES_PER_PIXEL + RESULT_BYTES)
    assert fits(monkeypatch, it, need + 1, 1_000_000)
    assert not fits(monkeypatch, it, need - 1, 1_000_000)


def learn(it: MemoryForecast, pixels: int, taken: float, batch: int = 1) -> None:
    growth = int(taken) + batch * RESULT_BYTES * pixels
    it.learn("fp32", pixels, batch, Memory(host_growth=growth))


def test_then_it_is_a_line_through_the_two_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    it = MemoryForecast("cpu", num_channels=1)
    for pixels, taken in ((100, 9e9), (1000, 5e8), (2000, 6e8)):
        learn(it, pixels, taken)
    # 0.1 MB more per pixel.
    need = 1.1 * (6e8 + 8e8 + RESULT_BYTES * 10_000)
    assert fits(monkeypatch, it, need + 1, 10_000)
    assert not fits(monkeypatch, it, need - 1, 10_000)


def test_what_does_not_grow_is_not_taken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    it = MemoryForecast("cpu", num_channels=1)
    learn(it, 1000, 2e8)
    learn(it, 101_000, 3e8)
    need = 1.1 * (3e8 + 1e8 + RESULT_BYTES * 201_000)
    assert fits(monkeypatch, it, need + 1, 201_000)
    assert not fits(monkeypatch, it, need - 1, 201_000)


def test_growth_that_the_system_may_not_see_teaches_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = MemoryForecast("cpu", num_channels=1)
    for pixels, taken in ((1000, 1e6), (4000, 1e6), (9000, 6e7)):
        learn(it, pixels, taken)
    need = 1.1 * (ACTIVATION_BYTES_PER_PIXEL * (1_000_000 - 1000) + RESULT_BYTES * 1_000_000)
    assert fits(monkeypatch, it, need + 1, 1_000_000)
    assert not fits(monkeypatch, it, need - 1, 1_000_000)


def test_on_a_cpu_a_batch_adds_only_its_images_and_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = MemoryForecast("cpu", num_channels=1)
    for pixels in (1000, 100_000):
        learn(it, pixels, 1000 * pixels, batch=4)
    # The megabyte of the first is not seen.
    slope = 1e8 / (100_000 - 1000)
    need = 1.1 * (1e8 + slope * 100_000 + 16 * RESULT_BYTES * 200_000)
    assert fits(monkeypatch, it, need + 1, 200_000, batch=16)
    assert not fits(monkeypatch, it, need - 1, 200_000, batch=16)


def test_on_a_gpu_a_batch_runs_at_once_and_the_weights_do_not_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = MemoryForecast("cuda", num_channels=1, held_on_gpu=500)
    it.learn("fp32", 1000, 1, Memory(gpu_peak=500 + 10_000))
    it.learn("fp32", 1000, 4, Memory(gpu_peak=500 + 40_000))
    need = 1.1 * 10 * 16_000
    assert fits(monkeypatch, it, need + 1, 1000, batch=16)
    assert not fits(monkeypatch, it, need - 1, 1000, batch=16)


def test_a_precision_learns_nothing_from_another(monkeypatch: pytest.MonkeyPatch) -> None:
    it = MemoryForecast("cpu", num_channels=1)
    it.learn("bf16", 1000, 1, Memory(host_growth=10**12))
    assert fits(monkeypatch, it, 10**9, 2000)


def test_where_nobody_can_tell_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "free_bytes", lambda _device: None)
    it = MemoryForecast("cpu", num_channels=1)
    it.learn("fp32", 1000, 1, Memory())
    assert it.objection("fp32", 10**12, 1) is None
    assert objection_to_weights(10**12, "cpu") is None


def test_the_objection_tells_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "free_bytes", lambda _device: 1_500_000_000)
    assert objection_to_weights(1_000_000_000, "cpu") == (
        "its weights alone would need about 4.0 GB of memory, and 1.5 GB are free"
    )
    assert objection_to_weights(100_000_000, "cpu") is None
