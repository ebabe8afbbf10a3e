"""Help that groups the options of a command under headings."""

import click

# Parameter names by heading. Options in no list come first, under "Options".
_HEADINGS: dict[str, tuple[str, ...]] = {
    "Input and output": (
        *("task", "output", "formats", "preset", "size", "colormap", "invert"),
        *("value_range", "percentile", "opacity", "classes", "legend", "list_classes"),
        *("label_base", "depth_stats", "gallery", "from_file"),
        *("nul", "images", "no_drift", "csv", "plot"),
    ),
    "Measurement": (
        *("dataset", "protocol", "listed", "pairs_file", "truth", "truth_scale"),
        *("predictions", "predicted", "predicted_scale", "alignment"),
        *("cap", "crop", "kitti_crop", "resize", "scores"),
    ),
    "Point clouds": ("edge_threshold", "max_points"),
    "Scene": ("points", "points_file", "depth_folder", "png_scale", "fov_deg"),
    "Model": (
        *("models", "model", "weights", "resolution", "multiple_of", "photo_protocol"),
        *("registry", "offline"),
    ),
    "Speed": ("device", "precision", "engine", "batch_size", "cuda_graphs", "runs"),
    "Batch": ("dry_run", "max_errors", "force"),
    "Messages": ("as_json", "quiet", "verbose", "debug", "help"),
}
_MANY = 10  # more options than this are grouped


def write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write the options of a command under headings, or as one list if there are few."""
    records = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None and isinstance(parameter, click.Option):
            # click's versions name the parameter of --help differently.
            is_help = set(parameter.opts) == set(ctx.help_option_names)
            records["help" if is_help else str(parameter.name)] = record
    listed = {name for names in _HEADINGS.values() for name in names}
    groups = {"Options": [name for name in records if name not in listed]}
    if len(records) > _MANY:
        groups |= {key: [n for n in names if n in records] for key, names in _HEADINGS.items()}
    else:
        groups["Options"] = list(records)
    for heading, names in groups.items():
        if names:
            with formatter.section(heading):
                formatter.write_dl([records[name] for name in names])
