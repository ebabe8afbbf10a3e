"""Whether a setting will fit into memory, foreseen from what smaller ones took."""

from dpt_cli.bench.estimate import ACTIVATION_BYTES_PER_PIXEL
from dpt_cli.bench.machine import free_bytes
from dpt_cli.bench.rows import Memory

# Of what is foreseen: allocators keep more than is asked of them.
_MARGIN = 1.1
_BYTES_PER_NUMBER = 4
# What the C library keeps of freed memory, and gives out again unseen by the operating system:
# twice the largest block it keeps at all, 32 MiB (mallopt(3), M_MMAP_THRESHOLD, M_TRIM_THRESHOLD).
_UNSEEN_BYTES = 64 * 2**20


def objection_to_weights(num_parameters: int, device: str) -> str | None:
    """Say why a network's weights will not fit; None where they do, or nobody can tell."""
    return _objection(_BYTES_PER_NUMBER * num_parameters, device, "its weights alone")


class MemoryForecast:
    """Foresees the activations of one network: a straight line through the two largest measured.

    Before a second size is measured the line has the slope seen on the published networks.
    """

    def __init__(self, device: str, num_channels: int, held_on_gpu: int = 0) -> None:
        """Begin.

        Args:
            device: Where the network runs.
            num_channels: Numbers it gives a pixel.
            held_on_gpu: What the GPU holds while nothing runs [bytes].
        """
        self._device, self._held_on_gpu = device, held_on_gpu
        # Images in and results out, once as the batch's and once as one array.
        self._result_bytes = _BYTES_PER_NUMBER * (3 + 2 * num_channels)
        # The torch engine runs a batch on a CPU one image after the other.
        self._runs_whole_batches = not device.startswith("cpu")
        self._seen: dict[str, list[tuple[int, int]]] = {}  # pixels and bytes, by precision

    def learn(self, precision: str, num_pixels: int, batch_size: int, memory: Memory) -> None:
        """Take in what a call took: pixels of one image, images, bytes.

        The first to be learnt should be the smallest there is: it shows what does not grow.
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
        """Say why a call will not fit; None where it does, or nobody can tell."""
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
