"""Predicts whether a setting fits into memory, from what smaller settings took."""

from dpt_cli.bench.estimate import ACTIVATION_BYTES_PER_PIXEL
from dpt_cli.bench.machine import free_bytes
from dpt_cli.bench.rows import Memory

_MARGIN = 1.1  # allocators reserve more than they are asked for
_BYTES_PER_NUMBER = 4
# Freed memory that the C library may keep and reuse without the operating system noticing: twice
# the largest block it keeps, 32 MiB (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD).
_UNSEEN_BYTES = 64 * 2**20


def objection_to_weights(num_parameters: int, device: str) -> str | None:
    """Return why a network's weights will not fit; None if they fit or it is unknown."""
    return _objection(_BYTES_PER_NUMBER * num_parameters, device, "its weights alone")


class MemoryForecast:
    """Predicts the activations of one network by a line through the two largest measured sizes.

    Until a second size is measured, the line has the slope of the published networks.
    """

    def __init__(self, device: str, num_channels: int, held_on_gpu: int = 0) -> None:
        """Start without measurements.

        Args:
            device: Where the network runs.
            num_channels: Number of output values per pixel.
            held_on_gpu: Memory in use on the GPU while nothing runs [bytes].
        """
        self._device, self._held_on_gpu = device, held_on_gpu
        # The images, and the results twice: for each image and as one array.
        self._result_bytes = _BYTES_PER_NUMBER * (3 + 2 * num_channels)
        # On a CPU, the torch engine runs the images of a batch one after the other.
        self._runs_whole_batches = not device.startswith("cpu")
        self._seen: dict[str, list[tuple[int, int]]] = {}  # pixels and bytes, by precision

    def learn(self, precision: str, num_pixels: int, batch_size: int, memory: Memory) -> None:
        """Learn from a call's memory.

        The first call should have the smallest size, to show what does not grow with the size.

        Args:
            precision: The call's precision.
            num_pixels: Pixels of one image.
            batch_size: Number of images.
            memory: What the call took.
        """
        seen = self._seen.setdefault(precision, [])
        if self._runs_whole_batches and memory.gpu_peak is not None:
            seen.append((num_pixels * batch_size, memory.gpu_peak - self._held_on_gpu))
        elif not self._runs_whole_batches and memory.host_growth is not None:
            taken = memory.host_growth - self._result_bytes * num_pixels * batch_size
            if taken >= _UNSEEN_BYTES:
                seen.append((num_pixels, taken))
            elif not seen:
                seen.append((num_pixels, 0))

    def objection(self, precision: str, num_pixels: int, batch_size: int) -> str | None:
        """Return why a call will not fit; None if it fits or it is unknown."""
        if self._runs_whole_batches:
            need = self._activations(precision, num_pixels * batch_size)
        else:
            need = self._activations(precision, num_pixels)
            need += self._result_bytes * num_pixels * batch_size
        return _objection(_MARGIN * need, self._device, "it")

    def _activations(self, precision: str, num_pixels: int) -> float:
        seen = sorted(self._seen.get(precision, ()))
        if not seen:
            return float(ACTIVATION_BYTES_PER_PIXEL * num_pixels)
        known_pixels, known_bytes = seen[-1]
        smaller = [(pixels, taken) for pixels, taken in seen if pixels < known_pixels]
        slope = float(ACTIVATION_BYTES_PER_PIXEL)
        if smaller:
            slope = max(0.0, (known_bytes - smaller[-1][1]) / (known_pixels - smaller[-1][0]))
        return known_bytes + slope * (num_pixels - known_pixels)


def _objection(need: float, device: str, what: str) -> str | None:
    free = free_bytes(device)
    if free is None or need <= free:
        return None
    return (
        f"{what} would need about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free"
    )
