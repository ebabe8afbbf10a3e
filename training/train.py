"""The training loop: two networks on one encoder, in one process per core.

The pictures of a step depend only on the seed and the step, so a stopped run continues from its
last checkpoint as if it had not been stopped.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, distributed, nn

from dpt_cli.model.architectures import ARCHITECTURES, build_network
from training.losses import depth_loss, labels_loss, positive_loss
from training.prepare import TEMPERATURE
from training.samples import Batch, TrainingSet

POSITIVE_WEIGHT = 0.3
AVERAGE_DECAY = 0.999
SAVE_EVERY = 50


@dataclass(frozen=True)
class Plan:
    """The settings of a run.

    Attributes:
        cache: Prepared photographs.
        scenes: Rendered scenes.
        work: Where checkpoints and the log go.
        steps: Length of the cosine schedule.
        batch_size: Pictures per step, over all processes.
        scene_share: Share of rendered scenes among them.
        encoder_lr: Peak learning rate of the encoder.
        decoder_lr: Peak learning rate of everything after it.
        weight_decay: AdamW's.
        labels_weight: Weight of the labels' loss relative to depth's; 0 trains depth only.
        seed: Seed of weights and pictures.
        processes: Number of processes: one per core on a CPU, one on a GPU.
        start_from: A checkpoint to start from, for a branch of a run.
        stop_at: Step to stop at before the schedule's end.
    """

    cache: Path
    scenes: Path
    work: Path
    steps: int
    batch_size: int = 8
    scene_share: float = 0.1
    encoder_lr: float = 5e-4
    decoder_lr: float = 1e-3
    weight_decay: float = 0.03
    labels_weight: float = 0.25
    seed: int = 0
    processes: int = 1
    start_from: Path | None = None
    stop_at: int | None = None


class Pair(nn.Module):
    """Depth and segmentation networks that share encoder and Reassemble, not fusion and heads."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = build_network(ARCHITECTURES["tiny-depth"])
        self.labels = build_network(ARCHITECTURES["tiny-segmentation"])
        for name in ("encoder", "reassemble", "to_features"):
            setattr(self.labels, name, getattr(self.depth, name))
        nn.init.constant_(self.depth.head.conv3.bias, 3.0)

    def forward(self, image: Tensor, num_photographs: int) -> tuple[Tensor, Tensor]:
        """Run both networks.

        Args:
            image: (B, 3, h, w), the photographs first.
            num_photographs: Number of photographs, which have labels.

        Returns:
            Inverse depth before the last ReLU (B, h, w), and the photographs' logits at half size.
        """
        levels = self.depth.levels(image)
        size_hw = (image.shape[2], image.shape[3])
        inverse_depth = self.depth.head.before_activation(self.depth.fuse(levels), size_hw)
        if not num_photographs:
            return inverse_depth, inverse_depth.new_empty(0)
        labelled = self.labels.fuse([level[:num_photographs] for level in levels])
        return inverse_depth, self.labels.head.logits(labelled)


def size_of_step(step: int, plan: Plan) -> tuple[int, int]:
    """Return the height and width [px] of a step's pictures: random shapes, larger later."""
    progress = step / plan.steps
    side = 128 if progress < 0.5 else 160 if progress < 0.95 else 192
    rng = np.random.default_rng([plan.seed, step])
    wider = int(rng.integers(-1, 2)) * ARCHITECTURES["tiny-depth"].patch_px
    return side - wider, side + wider


def learning_rate(step: int, plan: Plan) -> float:
    """Return the factor of the peak rate: a short warm-up, then a cosine to zero."""
    rise = min(1.0, (step + 1) / 300)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / plan.steps)))


def gradient_weight(step: int, plan: Plan) -> float:
    """Return the weight of gradient matching, which is small until the network predicts edges.

    With the full weight from the start, an untrained network learns to be smooth.
    """
    return 0.1 + 0.4 * max(0.0, 2 * step / plan.steps - 1)


def train(plan: Plan, log: Callable[[str], None]) -> None:
    """Train to the end of the plan, from the last checkpoint in `plan.work` if there is one."""
    plan.work.mkdir(parents=True, exist_ok=True)
    if plan.processes == 1:
        _worker(0, plan, log)
    else:
        torch.multiprocessing.spawn(_worker, (plan, log), nprocs=plan.processes)


def _worker(rank: int, plan: Plan, log: Callable[[str], None]) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    is_shared = plan.processes > 1
    if is_shared:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // plan.processes))
        cv2.setNumThreads(1)
        # A file of this run, because a port could be in use.
        rendezvous = (plan.work / f"rendezvous-{os.getppid()}").absolute()
        distributed.init_process_group(
            "gloo", init_method=rendezvous.as_uri(), rank=rank, world_size=plan.processes
        )
    torch.manual_seed(plan.seed)
    pair = Pair().to(device, memory_format=torch.channels_last)
    average = Pair().to(device)
    average.load_state_dict(pair.state_dict())
    optimizer = _optimizer(pair, plan)
    checkpoint = plan.work / "last.pt"
    step = 0
    if checkpoint.exists() or plan.start_from:
        state = torch.load(
            checkpoint if checkpoint.exists() else plan.start_from, map_location=device
        )
        pair.load_state_dict(state["pair"])
        average.load_state_dict(state["average"])
        peaks = [group["peak_lr"] for group in optimizer.param_groups]
        optimizer.load_state_dict(state["optimizer"])
        # The checkpoint contains the rates that it was made with; those of the plan apply.
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["peak_lr"] = peak
        step = state["step"]
    training_set = TrainingSet(plan.cache, plan.scenes, plan.scene_share)
    pair.train()
    sums, since = np.zeros(3), time.monotonic()
    last_step = plan.stop_at or plan.steps
    while step < last_step:
        hw = size_of_step(step, plan)
        rng = np.random.default_rng([plan.seed, step, rank])
        batch = training_set.draw(rng, max(1, plan.batch_size // plan.processes), hw)
        factor = learning_rate(step, plan)
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        sums += _step(pair, optimizer, batch, device, plan, gradient_weight(step, plan))
        step += 1
        _update_average(average, pair, min(AVERAGE_DECAY, step / (step + 10)))
        if rank == 0 and (step % SAVE_EVERY == 0 or step == last_step):
            _save(checkpoint, pair, average, optimizer, step)
            count = step % SAVE_EVERY or SAVE_EVERY
            seconds = time.monotonic() - since
            depth_error, labels_error, pictures = sums
            log(
                f"step {step} of {plan.steps}  {hw[0]}x{hw[1]}  depth {depth_error / count:.4f}  "
                f"labels {labels_error / count:.4f}  rate {factor:.3f}  "
                f"{pictures * plan.processes / seconds:.1f} pictures/s"
            )
            sums, since = np.zeros(3), time.monotonic()
    if is_shared:
        distributed.destroy_process_group()


def _optimizer(pair: Pair, plan: Plan) -> torch.optim.Optimizer:
    groups = []
    encoder = {id(parameter) for parameter in pair.depth.encoder.parameters()}
    for in_encoder, rate in ((True, plan.encoder_lr), (False, plan.decoder_lr)):
        for decays in (True, False):
            members = [
                parameter
                for name, parameter in pair.named_parameters()
                if (id(parameter) in encoder) == in_encoder
                and (parameter.ndim > 1 and "embed" not in name and "token" not in name) == decays
            ]
            decay = plan.weight_decay if decays else 0.0
            groups.append({"params": members, "peak_lr": rate, "lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, fused=True)


def _step(
    pair: Pair,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    device: torch.device,
    plan: Plan,
    edges: float,
) -> tuple[float, float, int]:
    image = batch.image.to(device, memory_format=torch.channels_last)
    inverse_depth, logits = pair(image, len(batch.classes) if plan.labels_weight else 0)
    depth_error = depth_loss(inverse_depth, batch.inverse_depth.to(device), edges)
    labels_error = torch.zeros(())
    if plan.labels_weight:
        labels_error = labels_loss(
            logits, batch.classes.to(device), batch.probabilities.to(device), TEMPERATURE
        )
    total = depth_error + POSITIVE_WEIGHT * positive_loss(inverse_depth)
    if plan.labels_weight:
        total = total + plan.labels_weight * labels_error
    total.backward()
    parameters = [parameter for parameter in pair.parameters() if parameter.grad is not None]
    if plan.processes > 1:
        flat = torch.cat([parameter.grad.flatten() for parameter in parameters])
        distributed.all_reduce(flat)
        flat /= plan.processes
        parts = flat.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad.copy_(part.view_as(parameter))
    nn.utils.clip_grad_norm_(parameters, 2.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return depth_error.item(), labels_error.item(), len(image)


@torch.no_grad()
def _update_average(average: Pair, pair: Pair, decay: float) -> None:
    """Update the exponential moving average of the weights."""
    followed, trained = average.state_dict(), pair.state_dict()
    for name, value in followed.items():
        if value.is_floating_point():
            value.lerp_(trained[name], 1 - decay)
        else:
            value.copy_(trained[name])


def _save(
    checkpoint: Path, pair: Pair, average: Pair, optimizer: torch.optim.Optimizer, step: int
) -> None:
    part = checkpoint.with_suffix(".part")
    state = {
        "pair": pair.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    torch.save(state, part)
    part.replace(checkpoint)
