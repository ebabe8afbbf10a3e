"""The two networks that `tiny` learns from, each as a function of a photograph."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

DEPTH_FILE = "tcmonodepth_tcsmallnet_192x320.onnx"
LABELS_FILE = "deeplabv3-mobilenetv2-ade20k_default_1.tflite"

_EXPORTED_HW = (192, 320)
_LABELS_SIDE_PX = 513
_LABELS_GRID = 65  # side of the logits: 513 pixels at stride 8


class DepthTeacher:
    """TCMonoDepth, small: RGB to relative inverse depth, larger is nearer."""

    def __init__(self, folder: Path, short_side_px: int = 256) -> None:
        self._file = folder / DEPTH_FILE
        self._short_side_px = short_side_px
        self._sessions: dict[tuple[int, int], object] = {}

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Map (H, W, 3) uint8 to (h, w), half the teacher's input size, no unit, >= 0."""
        height, width = rgb.shape[:2]
        scale = self._short_side_px / min(height, width)
        network_hw = tuple(max(32, round(side * scale / 32) * 32) for side in (height, width))
        network_hw = (min(network_hw[0], 640), min(network_hw[1], 640))
        seen = cv2.resize(rgb, network_hw[::-1], interpolation=cv2.INTER_AREA)
        batch = seen.astype(np.float32).transpose(2, 0, 1)[None]
        (inverse_depth,) = self._session(network_hw).run(None, {"input": batch})
        half = cv2.resize(
            inverse_depth[0, 0],
            (network_hw[1] // 2, network_hw[0] // 2),
            interpolation=cv2.INTER_AREA,
        )
        return half.astype(np.float16)

    def _session(self, network_hw: tuple[int, int]):
        if network_hw not in self._sessions:
            self._sessions[network_hw] = _session_of_size(self._file, network_hw)
        return self._sessions[network_hw]


def _session_of_size(file: Path, network_hw: tuple[int, int]):
    """Open the export for another input size, which its reshapes contain as constants."""
    import onnx
    import onnxruntime

    model = onnx.load(file)
    ratio_h, ratio_w = network_hw[0] / _EXPORTED_HW[0], network_hw[1] / _EXPORTED_HW[1]
    for initializer in model.graph.initializer:
        shape = onnx.numpy_helper.to_array(initializer)
        if shape.dtype != np.int64 or shape.size not in (3, 4):
            continue
        resized = shape.astype(float)
        if shape.size == 4:
            resized[2:] *= (ratio_h, ratio_w)
        else:
            resized[2] *= ratio_h * ratio_w
        initializer.CopyFrom(
            onnx.numpy_helper.from_array(np.round(resized).astype(np.int64), initializer.name)
        )
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        dims[2].dim_value, dims[3].dim_value = network_hw
    del model.graph.value_info[:]
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


class LabelsTeacher:
    """DeepLabV3 on MobileNetV2, trained on ADE20K: RGB to 150 probabilities."""

    def __init__(self, folder: Path, num_threads: int = 2) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(
            model_path=str(folder / LABELS_FILE), num_threads=num_threads
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Map (H, W, 3) uint8 to logits (65, 65, 150) over the whole picture, aspect not kept."""
        side = _LABELS_SIDE_PX
        seen = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_LINEAR)
        self._interpreter.set_tensor(self._input, seen[None].astype(np.float32) / 127.5 - 1)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._output)[0]
        # The published output upsamples its 65 x 65 logits bilinearly to 513, corners aligned.
        step = (side - 1) // (_LABELS_GRID - 1)
        return logits[::step, ::step, 1:]  # channel 0 is "other", not one of ADE20K's 150 classes
