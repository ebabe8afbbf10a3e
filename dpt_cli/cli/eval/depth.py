"""`dpt eval depth`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli.eval.options import (
    EvalCommand,
    EvalOptions,
    PositiveNumber,
    chosen_models,
    dataset_root,
    eval_options,
    two_paths,
    written_files,
)
from dpt_cli.cli.settings import OneRunOption
from dpt_cli.metrics.datasets import DATASETS, OWN, PROTOCOLS, ProtocolName
from dpt_cli.metrics.protocol import ALIGNMENTS, CROPS, RESIZES, Protocol


@click.command(cls=EvalCommand)
@eval_options(
    plot_help="Draw what resolution costs, relative to 384 px, where several are measured.",
    csv_help="Write the scores of each picture; and the means beside it, to FILE_summary.csv.",
)
@click.option(
    "--dataset",
    cls=OneRunOption,
    type=click.Choice(DATASETS),
    help="A data set as its publisher ships it; ROOT is the folder it was unpacked in.",
)
@click.option(
    "--protocol",
    cls=OneRunOption,
    type=click.Choice(tuple(PROTOCOLS)),
    help="zero-shot: scale and shift are fitted to each picture. metric: metres as they are, for "
    "nyu and kitti.  [default: metric where all models give metres, else zero-shot]",
)
@click.option(
    "--list",
    "listed",
    cls=OneRunOption,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="KITTI's Eigen test split, a picture per line.",
)
@click.option(
    "--truth",
    cls=OneRunOption,
    type=click.Choice(["depth", "inverse-depth"]),
    default="depth",
    show_default=True,
    help="What your truth holds: depth, or inverse depth or disparity.",
)
@click.option(
    "--truth-scale",
    cls=OneRunOption,
    type=PositiveNumber(),
    metavar="N",
    help="How many steps of your truth are a metre: 1000 for millimetres.  [default: 1 for floats]",
)
@click.option(
    "--predicted",
    cls=OneRunOption,
    type=click.Choice(["depth", "inverse-depth"]),
    help="What bare numbers in --predictions are; maps of dpt say so themselves.",
)
@click.option(
    "--predicted-scale",
    cls=OneRunOption,
    type=PositiveNumber(),
    metavar="N",
    help="How many steps of --predicted maps are a metre, or a unit.  [default: 1; needed for "
    "whole numbers with --alignment none]",
)
@click.option(
    "--alignment",
    cls=OneRunOption,
    type=click.Choice(ALIGNMENTS),
    help="What a map is given before its errors count: scale and shift in inverse depth, scale "
    "alone, the ratio of medians, nothing.  [default: the protocol's]",
)
@click.option(
    "--cap",
    cls=OneRunOption,
    type=PositiveNumber(),
    metavar="M",
    help="Ignore truth farther than this, and clip maps there [m].  [default: the protocol's]",
)
@click.option(
    "--crop",
    cls=OneRunOption,
    type=click.Choice(CROPS),
    help="The part of the truth that counts.  [default: the protocol's]",
)
@click.option(
    "--kitti-crop",
    cls=OneRunOption,
    type=click.Choice(["full", "1216x352"]),
    help="The part of KITTI's photographs that the network gets.  [default: the protocol's]",
)
@click.option(
    "--resize",
    cls=OneRunOption,
    type=click.Choice(RESIZES),
    help="Which side of a photograph meets the resolution: the one that needs less scaling, the "
    "smaller (lower_bound) or the larger (upper_bound).  [default: the protocol's]",
)
def depth(
    listed: Path | None,
    truth: str,
    truth_scale: float | None,
    predicted: str | None,
    predicted_scale: float | None,
    alignment: str | None,
    cap: float | None,
    crop: str | None,
    kitti_crop: str | None,
    resize: str | None,
    **options: Any,
) -> None:
    """Measure depth maps against measured depth.

    Scores are means over pictures, printed beside the papers' figures for the same weights and data
    set; everything that decides them is named. Several models are compared picture by picture, with
    the 95 % bootstrap interval of their difference.

    Your own pictures: two folders whose files share their names, or a list. The truth is PNG, PGM
    or TIFF of 16 bits with --truth-scale, .npy, .npz, .pfm, .exr or Sintel's .dpt; zero, NaN and
    infinity are no measurement.

    Example: dpt eval depth --dataset nyu nyu/ --model hybrid,large
    """
    chosen = EvalOptions(**options)
    if chosen.plot and chosen.predictions:
        raise click.UsageError(
            "--plot draws resolutions, and --predictions have none: leave it out"
        )
    written_files(chosen, ("summary",))
    specs = chosen_models("depth", chosen)
    name = _protocol_name(chosen, specs)
    base = PROTOCOLS[name][chosen.dataset] if chosen.dataset else OWN
    changed: dict[str, Any] = {
        "alignment": alignment,
        "cap_m": cap,
        "crop": crop,
        "photo_crop": {"full": "none", "1216x352": "kitti-benchmark", None: None}[kitti_crop],
        "resize": resize,
    }
    protocol = replace(base, **{key: value for key, value in changed.items() if value is not None})
    _check(protocol, specs)

    from dpt_cli.cli.eval.run import run_eval
    from dpt_cli.evaluation.layouts import depth_pairs
    from dpt_cli.evaluation.pairs import pair_by_list, pair_by_name, without_maps
    from dpt_cli.evaluation.saved import Others
    from dpt_cli.evaluation.truth import DEPTH_SUFFIXES, DepthFile

    def truth_of(path: Path) -> DepthFile:
        return DepthFile(path, truth_scale, truth)  # type: ignore[arg-type]  # click checked it

    if chosen.dataset is not None:
        pairs = depth_pairs(chosen.dataset, dataset_root(chosen), name, listed)
    elif chosen.pairs_file is not None:
        pairs = pair_by_list(chosen.pairs_file, truth_of)
    else:
        pairs = pair_by_name(*two_paths(chosen), DEPTH_SUFFIXES, truth_of)
    if chosen.dataset is None:
        pairs = without_maps(pairs, are_predictions_given=bool(chosen.predictions))
    # Every alignment fits a scale anyway.
    scale = predicted_scale or (None if protocol.alignment == "none" else 1.0)
    others = Others(predicted, scale) if predicted else None  # type: ignore[arg-type]  # click checked it
    run_eval(chosen, specs, pairs, protocol, name, is_changed=protocol != base, others=others)


def _protocol_name(options: EvalOptions, specs: Sequence[CheckpointSpec]) -> ProtocolName:
    if options.protocol == "metric" and options.dataset not in PROTOCOLS["metric"]:
        known = " and ".join(PROTOCOLS["metric"])
        raise click.UsageError(f"--protocol metric is for --dataset {known}")
    if options.protocol is not None:
        return "metric" if options.protocol == "metric" else "zero-shot"
    are_metric = bool(specs) and all(spec.output.quantity == "depth" for spec in specs)
    return "metric" if are_metric and options.dataset in PROTOCOLS["metric"] else "zero-shot"


def _check(protocol: Protocol, specs: Sequence[CheckpointSpec]) -> None:
    relative = [spec.name for spec in specs if spec.output.quantity != "depth"]
    if protocol.alignment == "none" and relative:
        raise click.UsageError(
            f"{', '.join(relative)} gives no metres: it needs an alignment "
            f"({', '.join(name for name in ALIGNMENTS if name != 'none')}) or --protocol zero-shot"
        )
    if protocol.alignment == "median" and relative:
        raise click.UsageError(
            f"{', '.join(relative)} has an unknown shift, which the ratio of medians leaves in: "
            "use --alignment inverse-depth"
        )
