"""`pixelwise predict RUN big.tif --out classes.tif`: one raster of any size."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from pixelwise.checks import at_least, one_of
from pixelwise.cli.cluster import cluster_of
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_pictures, refuse_given
from pixelwise.cli.views import views_of
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.language import translate

TIFFS = (".tif", ".tiff")
OTHERS = ("boxes", "image_ids")
"""Options that are for pictures alone."""

USUAL = {
    "probability": None,
    "uncertainty": None,
    "polygons": None,
    "polygons_of": None,
    "simplify": 0.0,
    "minimum_area": 0.0,
    "areas": None,
    "cog": False,
    "broken": "fail",
    "batch_size": 1,
}
"""Options that are for rasters alone, as they are where nothing is said."""


def add_raster_options(parser: Any) -> None:
    """The options that are for rasters alone."""
    parser.add_argument(
        "--probability", type=str | None, help="for a raster: a .tif of class probabilities too"
    )
    parser.add_argument(
        "--uncertainty", type=str | None, help="for a raster: a .tif of how unsure the network is"
    )
    parser.add_argument(
        "--polygons",
        type=str | None,
        help="for a raster: a .gpkg or .geojson of its regions; docs/rasters.md has more",
    )
    parser.add_argument(
        "--polygons-of",
        type=str | None,
        help="for a raster: classes that are drawn: names or numbers, with commas between",
    )
    parser.add_argument(
        "--simplify",
        type=float,
        default=0.0,
        help="for a raster: how much outlines of polygons may change, in its units",
    )
    parser.add_argument(
        "--minimum-area", type=float, default=0.0, help="for a raster: leave smaller polygons out"
    )
    parser.add_argument(
        "--areas", type=str | None, help="for a raster: a .csv of the area of each class"
    )
    parser.add_argument(
        "--cog", action="store_true", help="for a raster: write cloud-optimised GeoTIFFs"
    )
    parser.add_argument(
        "--broken",
        type=str,
        default="fail",
        help="for a raster: fail at a block that cannot be read, or leave it as nodata",
    )
    parser.add_argument(
        "--batch-size", type=int, default=1, help="for a raster: tiles predicted together"
    )


def is_elsewhere(text: str) -> bool:
    """Whether it is a name that GDAL alone understands: of a file on a server, or in an archive."""
    return text.startswith("/vsi") or "://" in text


def is_raster(out: str | None) -> bool:
    """Whether one raster is to be written."""
    return out is not None and Path(out).suffix.lower() in TIFFS


def wants_raster(found: Namespace) -> bool:
    """Whether one raster is to be predicted; options for rasters without one are refused."""
    if is_raster(found.out):
        check_pictures([text for text in found.pictures if not is_elsewhere(text)])
        alone = len(found.pictures) == 1
        if not alone or not (is_elsewhere(found.pictures[0]) or Path(found.pictures[0]).is_file()):
            raise InputError(
                f"out={found.out!r}: is one file, but pictures={found.pictures}; give one raster,"
                " or a folder for --out"
            )
        given = [name for name in OTHERS if getattr(found, name) is not None]
        if given:
            raise InputError(
                f"{given[0]}: is for pictures; leave it out, or give a folder for --out"
            )
        one_of(("fail", "nodata"), broken=found.broken)
        at_least(1, batch_size=found.batch_size)
        return True
    refuse_given(found, USUAL, "is for one raster; give its file, and a .tif for --out")
    return False


@contextlib.contextmanager
def kept(out: Path) -> Iterator[None]:
    """Say at an interruption what there is already."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"the finished rows of {out} are kept; give the same command to go on"
        ) from None


def predict_raster(found: Namespace) -> int:
    """Predict it; returns the exit code."""
    path, out = found.pictures[0], Path(found.out)
    with Console(quiet=found.quiet) as console, contextlib.ExitStack() as ended:
        from pixelwise.compiling.telling import Compiling
        from pixelwise.export.opening import open_model
        from pixelwise.predict.memory import enough_memory
        from pixelwise.predict.prepared import PIXELS, chosen, prepared
        from pixelwise.predict.rasters.engine import predict_raster as here
        from pixelwise.predict.rasters.raster import raster
        from pixelwise.predict.rasters.source import as_trained

        views = views_of(found)
        device = pick_device(found.device) if found.cluster is None else "cpu"
        model = open_model(found.run).to(device)
        config = model.config
        source = as_trained(path, config, found.broken)
        console.say(
            translate(
                "model   {arch} on {backbone}\ninput   {path}: {width} x {height} pixels, on {what}"
            ).format(
                arch=config.arch,
                backbone=config.backbone,
                path=path,
                width=source.width,
                height=source.height,
                what=found.cluster or device,
            )
        )
        cluster = ended.enter_context(cluster_of(found, console))
        form = chosen(found.precision, model, device)
        form.tell(console.say)
        engine: Callable[..., None] = here
        quick, compiling = model, Compiling(found.compile, console.say)
        if cluster is not None:
            from pixelwise.cluster.rasters import over

            engine = over(cluster, model, as_is=found.as_is, views=views)
        else:
            pictures = source.height * source.width // PIXELS
            quick = prepared(model, form.precision, pictures, compiling)
        with kept(out), enough_memory(model, round(found.window * max(views.scales))):
            raster(
                quick,
                source,
                out,
                probability=found.probability,
                uncertainty=found.uncertainty,
                polygons=found.polygons,
                areas=found.areas,
                polygons_of=found.polygons_of,
                simplify=found.simplify,
                minimum_area=found.minimum_area,
                window=found.window,
                overlap=found.overlap,
                batch=found.batch_size,
                cog=found.cog,
                broken=found.broken,
                as_is=found.as_is,
                views=views,
                progress=console.busy,
                say=console.say,
                engine=engine,
            )
        compiling.tell()
        for top, left, height, width in [*source.lost][:5]:
            console.warn(
                translate(
                    "{path}: rows {top} to {top2}, columns {left} to {left2} cannot be read"
                    " and are left without data"
                ).format(path=path, top=top, top2=top + height, left=left, left2=left + width)
            )
        if len(source.lost) > 5:
            console.warn(
                translate("{path}: {lost} blocks in all cannot be read").format(
                    path=path, lost=len(source.lost)
                )
            )
    print(translate("{path} predicted: {out}").format(path=path, out=out))
    return 1 if source.lost else 0
