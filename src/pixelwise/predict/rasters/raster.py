"""`pixelwise.predict.raster`: a network, a raster, and where its answers go."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy import ndarray

from pixelwise.checks import at_least, in_range, one_of
from pixelwise.data.rasters.files import cache_for, limited_cache, open_raster, told
from pixelwise.errors import InputError
from pixelwise.export.exported import is_session, open_exported
from pixelwise.export.named import runs_alone
from pixelwise.export.opening import open_model
from pixelwise.networks.model import Model
from pixelwise.predict.rasters.engine import predict_raster
from pixelwise.predict.rasters.geotiff import ASIDE, SOFTWARE, Place, is_ours_aside
from pixelwise.predict.rasters.network import of_callable, of_segmenter
from pixelwise.predict.rasters.outputs import check_output, same
from pixelwise.predict.rasters.polygons.following import drawn_from, meaning_of
from pixelwise.predict.rasters.polygons.polygons import check_place, drawing_of
from pixelwise.predict.rasters.product import PRODUCTS
from pixelwise.predict.rasters.sink import ArraySink, GeoTIFFSink, Progress, Sink
from pixelwise.predict.rasters.source import BROKEN, ArraySource, RasterSource, Source, as_trained
from pixelwise.predict.views import WHOLE, Views
from pixelwise.release import VERSION

TIFFS = (".tif", ".tiff")
BESIDE = (ASIDE, ".ovr", ".msk")
"""Files that GDAL takes for parts of the one beside them."""
UNSAID = {"task": "multiclass", "names": [], "mean": 0.0, "std": 1.0, "scale": 1.0}
"""What is stated of a network where nothing is."""


def raster(
    model: Any,
    source: str | Path | ndarray | Source,
    sink: str | Path | Sink | None = None,
    *,
    probability: str | Path | None = None,
    uncertainty: str | Path | None = None,
    polygons: str | Path | None = None,
    areas: str | Path | None = None,
    polygons_of: str | Sequence[str | int] | None = None,
    simplify: float = 0.0,
    minimum_area: float = 0.0,
    window: int = 1024,
    overlap: float = 0.25,
    batch: int = 1,
    cog: bool = False,
    broken: str = "fail",
    as_is: bool = False,
    views: Views = WHOLE,
    task: str = "multiclass",
    names: Sequence[str] = (),
    mean: Sequence[float] | float = 0.0,
    std: Sequence[float] | float = 1.0,
    scale: float = 1.0,
    device: str | torch.device | None = None,
    progress: Progress = lambda what, done, total: None,
    say: Callable[[str], None] = lambda line: None,
    engine: Callable[..., None] = predict_raster,
) -> ndarray | None:
    """Predict a raster of any size, block by block.

    What is written keeps the place on Earth. A run that was killed goes on where it stopped when
    it is started again, and ends with the same bytes.

    Args:
        model: One of ours, in eval mode, any function of (n, c, h, w) that returns logits, the
            folder of a run, an exported file, or a session of ONNX Runtime.
        source: A file that GDAL reads, an array (c, h, w), or any `Source`.
        sink: A `.tif` to write, or any `Sink`; None: the answers are returned.
        probability: A `.tif` for the probability of each class, in ten thousandths.
        uncertainty: A `.tif` for how unsure the network is, in ten thousandths.
        polygons: A `.gpkg` or `.geojson` for the regions of the answer, see `predict.polygons`.
        areas: A `.csv` for the area of each class.
        polygons_of: The classes that are drawn; by default all, of two the second.
        simplify: How much outlines may change, in the raster's units.
        minimum_area: Smaller polygons are left out.
        window: Pixels of a side of the windows that the network sees, at most.
        overlap: The least share of a window that its neighbour covers too, in [0, 1).
        batch: Windows that go through the network together.
        cog: Write cloud-optimised GeoTIFFs.
        broken: "fail" at a block that cannot be read, or leave it as "nodata".
        as_is: Take values that are unlike those of the training pictures too.
        views: Average over scales and flips of the windows.
        task: What the logits of a function mean; one of ours and exported ones know.
        names: Likewise: names of the classes.
        mean: Likewise: its input is `(raw / scale - mean) / std`.
        std: See `mean`.
        scale: See `mean`.
        device: Where a function computes; a module does where it is.
        progress: Told what is done.
        say: Told lines: where an earlier run is gone on with or begun anew, what to know about
            polygons.
        engine: Who predicts the windows: this process, or `pixelwise.cluster.rasters.over`.

    Returns:
        (bands, h, w) where there is no sink.

    Raises:
        InputError: Anything that does not fit; files that cannot be read or written.
    """
    said: dict[str, Any] = {"task": task, "names": [*names], "mean": mean, "std": std}
    said["scale"] = scale
    model = _model(model, said, device)
    at_least(1, window=window, batch=batch)
    in_range(0, 0.9, overlap=overlap)
    one_of(BROKEN, broken=broken)
    wanted = {"answer": sink, "probability": probability, "uncertainty": uncertainty}
    if isinstance(model, Model) and model.decides and (probability or uncertainty):
        raise InputError(
            f"{model.config.arch}: says classes, not how probable they are; leave probability and"
            " uncertainty out, or export it without the decoder"
        )
    paths = {
        product: _to_write(Path(path), source)
        for product, path in wanted.items()
        if isinstance(path, str | Path)
    }
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise InputError(f"sink={sink}: is named twice; give every output a file of its own")
    read = source.path if isinstance(source, RasterSource) else source
    drawing = drawing_of(
        polygons,
        areas,
        simplify,
        minimum_area,
        Path(read) if isinstance(read, str | Path) else None,
    )
    gdal = not isinstance(source, ndarray | Source) or bool(paths) or drawing is not None
    with limited_cache() if gdal else contextlib.nullcontext():
        opened = _opened(source, model, broken)
        if isinstance(model, Model):
            network = of_segmenter(model, opened, as_is=as_is)
        else:
            network = of_callable(model, opened, **said, device=device, window=window)
        logits = views.averaged(network.logits, network.task)
        place, lost = Place(), None
        if isinstance(opened, RasterSource):
            _check_unread(paths.values(), opened)
            place, lost = Place.of(opened.file), opened.lost if broken == "nodata" else None
        then: Callable[[Progress], None] | None = None
        if drawing is not None:
            meaning = meaning_of(network.task, polygons_of)
            check_place(drawing, place, (opened.height, opened.width), opened.name, say)
            then, classes = drawn_from(paths.get("answer"), drawing, meaning, say)
            paths = {"answer": classes, **paths}
        sinks: list[Sink] = [
            GeoTIFFSink(
                path,
                PRODUCTS[product](network.task),
                place,
                cog=cog,
                lost=lost,
                say=say,
                then=then if product == "answer" else None,
            )
            for product, path in paths.items()
        ]
        kept = ArraySink(PRODUCTS["answer"](network.task)) if sink is None else None
        sinks += [one for one in (kept, sink) if isinstance(one, Sink)]
        with _enough_cache(opened, window), _told_where(paths.values()):
            engine(
                logits,
                opened,
                sinks,
                prepare=network.prepare,
                window=window,
                overlap=overlap,
                batch=batch,
                plan={
                    "model": network.mark,
                    "source": _mark(opened),
                    "versions": [VERSION, torch.__version__],
                    "views": [list(views.scales), views.flip],
                },
                scratch=next(iter(paths.values())).parent if paths else None,
                progress=progress,
            )
    return None if kept is None else kept.values


def _model(model: Any, stated: Mapping[str, Any], device: str | torch.device | None) -> Any:
    """What is to be called, where a file or a session is given."""
    if is_session(model) or (isinstance(model, str | Path) and runs_alone(model)):
        return open_exported(model, None if stated == UNSAID else stated).to(device or "cpu")
    return open_model(model).to(device or "cpu") if isinstance(model, str | Path) else model


def _enough_cache(source: Source, window: int) -> contextlib.AbstractContextManager[None]:
    if not isinstance(source, RasterSource):
        return contextlib.nullcontext()
    return limited_cache(cache_for(source.file, window))


@contextlib.contextmanager
def _told_where(paths: Iterable[Path]) -> Iterator[None]:
    """What stops the writing of files is told in a line, and that nothing of it is lost."""
    try:
        yield
    except OSError as error:
        where = ", ".join(map(str, paths)) or "scratch"
        raise InputError(
            f"{where}: cannot be written ({error.strerror or told(error)}); free some space, and"
            " start again: finished rows are kept"
        ) from error


def _opened(source: Any, model: Any, broken: str) -> Source:
    if isinstance(source, ndarray):
        return ArraySource(source)
    if not isinstance(source, str | Path):
        assert isinstance(source, Source)
        return source
    if not isinstance(model, Model):
        return RasterSource(source, broken=broken)
    return as_trained(source, model.config, broken)


def _to_write(path: Path, source: Any) -> Path:
    """The file of an output.

    Raises:
        InputError: Not a TIFF, the raster itself, or a file that we did not write.
    """
    read = source.path if isinstance(source, RasterSource) else source
    check_output(path, TIFFS, Path(read) if isinstance(read, str | Path) else None, _ours)
    for beside in (path.with_name(path.name + suffix) for suffix in BESIDE):
        ours = beside.name.endswith(ASIDE) and (path.exists() or is_ours_aside(beside))
        if beside.exists() and not ours:
            raise InputError(
                f"{beside}: stands there, and would be taken for a part of {path.name}; choose"
                " another file, or move it away"
            )
    return path


def _check_unread(paths: Iterable[Path], source: RasterSource) -> None:
    """Raise an InputError where an output is one of the files that a raster consists of."""
    for path in paths:
        for read in source.file.files:
            if path.exists() and same(path, Path(read)):
                raise InputError(f"{path}: is read as a part of {source.name}; choose another file")


def _ours(path: Path) -> bool:
    try:
        with open_raster(path) as file:
            return str(file.tags().get("TIFFTAG_SOFTWARE", "")).startswith(SOFTWARE)
    except InputError:
        return False


def _mark(source: Source) -> list[Any]:
    """Tells this raster from others, and from what it was before somebody changed it."""
    if not isinstance(source, RasterSource):
        return [source.name]
    files = [Path(name) for name in source.file.files if not name.endswith((ASIDE, ".ovr"))]
    about = [(path.resolve(), path.stat()) for path in files if path.is_file()]
    return [source.name, [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in about]]
