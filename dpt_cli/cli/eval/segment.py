"""`dpt eval segment`."""

from typing import Any

import click

from dpt_cli.cli.eval.options import (
    EvalCommand,
    EvalOptions,
    chosen_models,
    dataset_root,
    eval_options,
    two_paths,
    written_files,
)
from dpt_cli.cli.settings import OneRunOption
from dpt_cli.metrics.datasets import OWN


@click.command(cls=EvalCommand)
@eval_options(
    plot_help="Draw the confusion matrix of the one model.",
    csv_help="Write the counts of each picture; beside it the means, the classes and the "
    "confusion matrix, to FILE_summary.csv, FILE_classes.csv and FILE_confusion.csv.",
)
@click.option(
    "--dataset",
    cls=OneRunOption,
    type=click.Choice(["ade20k"]),
    help="ADE20K as its publisher ships it; ROOT is the folder it was unpacked in.",
)
@click.option(
    "--protocol",
    cls=OneRunOption,
    type=click.Choice(["single", "encnet", "lseg"]),
    default="encnet",
    show_default=True,
    help="single: as dpt segment. encnet, lseg: six scales, windows and mirror images, 100 times "
    "the work; DPT's own is not published.",
)
def segment(**options: Any) -> None:
    """Measure label maps against ADE20K's classes.

    Pixel accuracy, and mean intersection over union from counts over all pictures. Your own truth
    is PNG with ADE20K's numbers, 1 to 150 and 0 for none, or zero-based .npy.

    Example: dpt eval segment --dataset ade20k ADEChallengeData2016/ --protocol single
    """
    chosen = EvalOptions(**options)
    written_files(chosen, ("summary", "classes", "confusion"))
    specs = chosen_models("segment", chosen)
    if chosen.resolution and chosen.protocol != "single":
        raise click.UsageError(f"--protocol {chosen.protocol} sets its sizes: no --resolution")

    from dpt_cli.cli.eval.run import run_eval
    from dpt_cli.evaluation.layouts import ade20k_pairs
    from dpt_cli.evaluation.pairs import pair_by_list, pair_by_name, without_maps
    from dpt_cli.evaluation.truth import LABEL_SUFFIXES, LabelFile

    if chosen.dataset is not None:
        pairs = ade20k_pairs(dataset_root(chosen))
    elif chosen.pairs_file is not None:
        pairs = pair_by_list(chosen.pairs_file, LabelFile)
    else:
        pairs = pair_by_name(*two_paths(chosen), LABEL_SUFFIXES, LabelFile)
    if chosen.dataset is None:
        pairs = without_maps(pairs, are_predictions_given=bool(chosen.predictions))
    # Saved maps are dpt segment's.
    is_single = chosen.protocol == "single" or chosen.predictions
    name = "single" if is_single else "multi-scale"
    run_eval(chosen, specs, pairs, OWN, name, is_changed=False)
