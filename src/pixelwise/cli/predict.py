"""`pixelwise predict`: masks and overlays for pictures."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from pixelwise.checks import in_range
from pixelwise.cli.cluster import add_cluster, check_cluster_options, cluster_of
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_model, check_numbers, check_out, check_pictures
from pixelwise.cli.parsing import AS_IS, command_parser, hide, parse
from pixelwise.cli.predict_raster import (
    add_raster_options,
    is_raster,
    predict_raster,
    wants_raster,
)
from pixelwise.cli.predict_video import add_video_options, is_clip, predict_clips, split
from pixelwise.cli.views import add_views, check_views, views_of
from pixelwise.devices import DEVICES, pick_device
from pixelwise.errors import InputError
from pixelwise.export.named import results_of
from pixelwise.language import spoken, translate

TEXT = (
    "Write masks, values or points, by the task, and an overlay for every picture; one raster of"
    " any size; or clips. Some options for clips and clusters stand in the documentation only."
)


def main(arguments: Sequence[str]) -> int:
    """Predict; returns 1 where some pictures could not be read, the others being done."""
    parser = command_parser("predict", TEXT)
    parser.add_argument(
        "run",
        type=str,
        help="folder of a run or model, exported file, or OWNER/NAME on the Hugging Face Hub",
    )
    parser.add_argument(
        "pictures", nargs="+", help="pictures, clips, folders, quoted patterns, or one raster"
    )
    parser.add_argument(
        "--out",
        type=str | None,
        help="folder, default: RUN/predict; for a raster of any size a .tif; for a clip, or"
        " pictures that become one, a .mp4, .mov, .mkv or .webm",
    )
    add_views(parser)
    parser.add_argument("--as-is", action="store_true", help=AS_IS)
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=179.0,
        help="read larger pictures too, which take memory; TIFFs always are",
    )
    parser.add_argument(
        "--boxes",
        type=str | None,
        help="look for points in boxes: CSV file,left,top,width,height[,figure] or COCO JSON",
    )
    parser.add_argument(
        "--image-ids", type=str | None, help="COCO JSON whose `images` number the pictures"
    )
    add_raster_options(parser)
    add_video_options(parser)
    add_cluster(parser)
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    hide(parser, "image_ids", "every", "fps", "workers", "gpu_share")
    hide(parser, "polygons_of", "simplify", "minimum_area")
    found = parse(parser, arguments)
    check_numbers(window=found.window, device=found.device)
    check_views(found)
    check_cluster_options(found)
    if found.cluster is not None and found.precision != "32":
        raise InputError(
            f"precision={found.precision!r}: is for one machine; leave it out, or --cluster"
        )
    if found.cluster is not None and found.compile != "off":
        raise InputError(
            f"compile={found.compile!r}: is for one machine; leave it out, or --cluster"
        )
    if not is_raster(found.out):
        check_pictures(found.pictures)
    check_model(found.run, exported=True)
    in_range(1, 1e6, max_megapixels=found.max_megapixels)
    for name, file in (("boxes", found.boxes), ("image_ids", found.image_ids)):
        if file is not None and not Path(file).is_file():
            raise InputError(f"{name}={file!r}: no such file; check the path")
    code = 0
    clips, others = split(found)
    if clips or is_clip(found.out):
        code = predict_clips(found, clips)
        if not others or is_clip(found.out):
            return code
        found.pictures = others
    if wants_raster(found):
        return predict_raster(found)
    check_out(found.out, found.run)
    out = Path(found.out) if found.out else results_of(found.run) / "predict"
    with Console(quiet=found.quiet) as console, contextlib.ExitStack() as ended:
        from pixelwise.compiling.telling import Compiling
        from pixelwise.export.opening import open_model
        from pixelwise.predict.images import find_pictures, predict_pictures
        from pixelwise.predict.memory import enough_memory
        from pixelwise.predict.prepared import chosen, prepared

        views = views_of(found)
        device = pick_device(found.device) if found.cluster is None else "cpu"
        files = find_pictures(found.pictures)
        model = open_model(found.run).to(device)
        classes = ", ".join(model.config.names) or translate("{num_classes} classes").format(
            num_classes=model.config.num_classes
        )
        console.say(
            translate(
                "model   {arch} on {backbone}: {classes}\ninput   {files} pictures, on {what}"
            ).format(
                arch=model.config.arch,
                backbone=model.config.backbone,
                classes=classes,
                files=len(files),
                what=found.cluster or device,
            )
        )
        form = chosen(found.precision, model, device)
        form.tell(console.say)
        cluster = ended.enter_context(cluster_of(found, console))
        elsewhere, quick = None, model
        compiling = Compiling(found.compile, console.say)
        if cluster is None:
            quick = prepared(model, form.precision, len(files), compiling)
        if cluster is not None:
            from pixelwise.cluster.pictures import over

            elsewhere = over(cluster)
        problems, holed, empty = [], [], []
        results = predict_pictures(
            quick,
            files,
            out,
            window=found.window,
            overlap=found.overlap,
            as_is=found.as_is,
            max_megapixels=found.max_megapixels,
            boxes=found.boxes,
            image_ids=found.image_ids,
            views=views,
            elsewhere=elsewhere,
        )
        with enough_memory(model, round(found.window * max(views.scales))):
            for done, result in enumerate(results, start=1):
                console.busy("predicting", done, len(files))
                if result.problem is not None:
                    problems.append(result.problem)
                    console.warn(f"error: {result.problem}")
                if result.boxes == 0:
                    empty.append(result)
                if result.missing:
                    holed.append(result)
                if 0 < result.pixels == result.missing:
                    console.warn(
                        translate("{picture}: no pixel has data, so nothing is known of it").format(
                            picture=result.picture
                        )
                    )
        compiling.tell()
        if empty:
            console.warn(
                translate(
                    "{empty} of {files} pictures, as {picture}, have no box in {boxes}, so"
                    " no point is looked for there"
                ).format(
                    empty=len(empty), files=len(files), picture=empty[0].picture, boxes=found.boxes
                )
            )
        if holed:
            console.warn(
                translate(
                    "{amount} of {amount2} pixels in {holed} pictures, as {picture}, have no"
                    " data: {without_data}"
                ).format(
                    amount=sum(r.missing for r in holed),
                    amount2=sum(r.pixels for r in holed),
                    holed=len(holed),
                    picture=holed[0].picture,
                    without_data=spoken(model.task.without_data),
                )
            )
    print(
        translate("{amount} of {files} pictures predicted: {out}").format(
            amount=len(files) - len(problems), files=len(files), out=out
        )
    )
    return 1 if problems else code
