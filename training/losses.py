"""The losses: shift-invariant depth error with gradient matching, and soft labels."""

from torch import Tensor

TRIMMED_SHARE = 0.1
NUM_GRADIENT_SCALES = 4


def depth_loss(prediction: Tensor, target: Tensor, gradient_weight: float = 0.5) -> Tensor:
    """Compare inverse depth up to one shift per image.

    Args:
        prediction: (B, h, w).
        target: (B, h, w), standardized per view. A crop keeps the scale of its view, so that a
            flat crop, which mostly shows the teacher's noise, has a small weight.
        gradient_weight: MiDaS's alpha, which is 0.5 there.

    Source: Ranftl et al. 2020 (MiDaS, arXiv 1907.01341), eq. 5 to 11: residuals of centred maps,
    the largest left out, and their gradients at four scales (Li and Snavely 2018, MegaDepth).
    """
    residual = _centred(prediction) - _centred(target)
    errors = residual.abs().flatten(1)
    num_kept = int(errors.shape[1] * (1 - TRIMMED_SHARE))
    limit = errors.detach().kthvalue(num_kept, dim=1, keepdim=True).values
    trimmed = (errors * (errors <= limit)).sum(1) / num_kept
    return trimmed.mean() + gradient_weight * _gradient_loss(residual)


def positive_loss(prediction: Tensor) -> Tensor:
    """Penalise values below zero, which the last ReLU would cut off."""
    return prediction.clamp(max=0).abs().mean()


def _centred(inverse_depth: Tensor) -> Tensor:
    middle = inverse_depth.flatten(1).median(dim=1).values
    return inverse_depth - middle[:, None, None]


def _gradient_loss(residual: Tensor) -> Tensor:
    total = residual.new_zeros(())
    for scale in range(NUM_GRADIENT_SCALES):
        step = 2**scale
        coarse = residual[:, ::step, ::step]
        total = total + coarse.diff(dim=2).abs().mean() + coarse.diff(dim=1).abs().mean()
    return total / 2


def labels_loss(
    logits: Tensor, classes: Tensor, probabilities: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy with soft labels (Hinton et al. 2015, arXiv 1503.02531).

    Args:
        logits: (B, num_classes, h, w).
        classes: (B, k), the classes that the teacher considers most likely in a photograph.
        probabilities: (B, k, h, w), the teacher's, softened with the same temperature.
        temperature: Divides the logits.
    """
    softened = logits / temperature
    likelihood = softened - softened.logsumexp(dim=1, keepdim=True)  # (B, num_classes, h, w)
    index = classes[:, :, None, None].expand(-1, -1, *logits.shape[2:])
    mass = probabilities.sum(dim=1).clamp(min=1e-3)
    agreement = (likelihood.gather(1, index) * probabilities).sum(dim=1) / mass
    return -agreement.mean() * temperature
