"""`python -m training`: makes the weights that `--model tiny` loads."""

import json
import os
from pathlib import Path

import click
import numpy as np

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_WORK = click.Path(file_okay=False, path_type=Path)


@click.group()
def main() -> None:
    """Train the small network from its teachers, measure it, and write its files."""


@main.command("run")
@click.option("--photos", type=_FOLDER, required=True, help="Photographs, with a SOURCES.tsv.")
@click.option("--teachers", type=_FOLDER, required=True, help="The two teachers' files.")
@click.option("--work", type=_WORK, required=True, help="Cache, checkpoints, log and result.")
@click.option("--steps", default=5600, show_default=True, help="Length of the schedule.")
@click.option(
    "--stop-at", type=int, help="Stop earlier; the same command without this option continues."
)
@click.option("--batch-size", default=8, show_default=True)
@click.option("--scenes", default=1200, show_default=True, help="Scenes to render.")
@click.option(
    "--scene-share", default=0.1, show_default=True, help="Share of rendered scenes in a batch."
)
@click.option("--labels-weight", default=0.25, show_default=True, help="0 trains depth only.")
@click.option("--seed", default=0, show_default=True)
@click.option("--processes", type=int, help="By default one per core, or one if there is a GPU.")
@click.option("--branch-from", type=click.Path(path_type=Path), help="A checkpoint to start from.")
def run(
    photos: Path,
    teachers: Path,
    work: Path,
    steps: int,
    stop_at: int | None,
    batch_size: int,
    scenes: int,
    scene_share: float,
    labels_weight: float,
    seed: int,
    processes: int | None,
    branch_from: Path | None,
) -> None:
    """Prepare, train and export; continues where an earlier run stopped."""
    import torch

    from training.export import export
    from training.log import Log
    from training.prepare import prepare_photographs, prepare_scenes
    from training.train import Plan, train

    log = Log(work / "log.txt")
    cache, rendered = work / "photographs", work / "scenes"
    if not (cache / "index.json").exists():
        count = sum(1 for _ in prepare_photographs(photos, teachers, cache, seed))
        log(f"{count} photographs prepared")
    if scene_share:
        count = sum(1 for _ in prepare_scenes(cache, rendered, scenes, seed))
        log(f"{count} scenes rendered")
    if processes is None:
        processes = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    plan = Plan(
        cache=cache,
        scenes=rendered,
        work=work,
        steps=steps,
        batch_size=batch_size,
        scene_share=scene_share,
        labels_weight=labels_weight,
        seed=seed,
        processes=processes,
        start_from=branch_from,
        stop_at=stop_at,
    )
    train(plan, log)
    for file in export(work / "last.pt", work / "weights"):
        log(f"wrote {file}")


@main.command("score")
@click.option("--work", type=_WORK, required=True, help="Where the prepared photographs are.")
@click.option("--teachers", type=_FOLDER, required=True, help="The two teachers' files.")
@click.option("--truth", type=_FOLDER, required=True, help="Photographs with measured depth.")
@click.option(
    "--weights", type=_WORK, help="Folder of exported weights; by default the bundled ones."
)
@click.option("--side", "sides", type=int, multiple=True, default=(192,), show_default=True)
def score(
    work: Path,
    teachers: Path,
    truth: Path,
    weights: Path | None,
    sides: tuple[int, ...],
) -> None:
    """Print the figures of the model card."""
    from training import score as scoring
    from training.export import NAMES

    depth_file = weights / NAMES["depth"] if weights else None
    guesses = scoring.baselines(teachers)
    for side in sides:
        guesses[f"tiny at {side}"] = scoring.depth_guess(depth_file, side)
    for name, guess in guesses.items():
        errors = scoring.score_truth(truth, guess).mean(axis=0)
        click.echo(f"{name:>16}  AbsRel {errors[0]:.3f}  delta<1.25 {errors[1]:.3f}")
    for side in sides:
        found = scoring.correlations(work / "photographs", guesses[f"tiny at {side}"])
        summary = {"mean": found.mean(), "median": np.median(found), "least": found.min()}
        words = json.dumps({key: round(float(value), 4) for key, value in summary.items()})
        click.echo(f"tiny at {side}: correlation with the teacher on {len(found)}: {words}")
        if weights:  # no weights for labels are bundled
            shares = scoring.agreements(work / "photographs", weights / NAMES["labels"], side)
            click.echo(f"tiny at {side}: {shares.mean():.3f} of the pixels agree with the teacher")


if __name__ == "__main__":
    main()
