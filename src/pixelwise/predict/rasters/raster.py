"""`pixelwise.predict.raster`: a network, a raster, and where its answers go."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor

from pixelwise.checks import at_least, in_range, one_of
from pixelwise.data.rasters.files import limited_cache, open_raster
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.predict.rasters.engine import predict_raster
from pixelwise.predict.rasters.geotiff import SOFTWARE, Place
from pixelwise.predict.rasters.network import Network, of_callable, of_segmenter
from pixelwise.predict.rasters.product import PRODUCTS
from pixelwise.predict.rasters.sink import ArraySink, GeoTIFFSink, Progress, Sink
from pixelwise.predict.rasters.source import BROKEN, ArraySource, RasterSource, Source
from pixelwise.predict.views import WHOLE, Views
from pixelwise.release import VERSION


def raster(
    model: Callable[[Tensor], Any],
    source: str | Path | ndarray | Source,
    sink: str | Path | Sink | None = None,
    *,
    probability: str | Path | None = None,
    uncertainty: str | Path | None = None,
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
) -> ndarray | None:
    """Predict a raster of any size, block by block.

    What is written keeps the place on Earth. A run that was killed goes on where it stopped when
    it is started again, and ends with the same bytes.

    Args:
        model: One of ours, in eval mode, or any function of (n, c, h, w) that returns logits.
        source: A file that GDAL reads, an array (c, h, w), or any `Source`.
        sink: A `.tif` to write, or any `Sink`; None: the answers are returned.
        probability: A `.tif` for the probability of each class, in ten thousandths.
        uncertainty: A `.tif` for how unsure the network is, in ten thousandths.
        window: Pixels of a side of the windows that the network sees, at most.
        overlap: The least share of a window that its neighbour covers too, in [0, 1).
        batch: Windows that go through the network together.
        cog: Write cloud-optimised GeoTIFFs.
        broken: "fail" at a block that cannot be read, or leave it as "nodata".
        as_is: Take values that are unlike those of the training pictures too.
        views: Average over scales and flips of the windows.
        task: What the logits of a function mean; one of ours knows.
        names: Likewise: names of the classes.
        mean: Likewise: its input is `(raw / scale - mean) / std`.
        std: See `mean`.
        scale: See `mean`.
        device: Where a function computes; a module does where it is.
        progress: Told what is done.

    Returns:
        (bands, h, w) where there is no sink.

    Raises:
        InputError: Anything that does not fit; files that cannot be read or written.
    """
    at_least(1, window=window, batch=batch)
    in_range(0, 0.9, overlap=overlap)
    one_of(BROKEN, broken=broken)
    wanted = {"answer": sink, "probability": probability, "uncertainty": uncertainty}
    paths = {
        product: _to_write(Path(path), source)
        for product, path in wanted.items()
        if isinstance(path, str | Path)
    }
    if len(set(paths.values())) < len(paths):
        raise InputError(f"sink={sink}: is named twice; give every output a file of its own")
    gdal = not isinstance(source, ndarray | Source) or bool(paths)
    with limited_cache() if gdal else contextlib.nullcontext():
        opened = _opened(source, model, broken)
        network = _network(model, opened, as_is, task, names, mean, std, scale, device, window)
        logits = views.averaged(network.logits, network.task)
        file = getattr(opened, "file", None)
        place = Place() if file is None else Place.of(file)
        sinks: list[Sink] = [
            GeoTIFFSink(path, PRODUCTS[product](network.task), place, cog=cog)
            for product, path in paths.items()
        ]
        kept = ArraySink(PRODUCTS["answer"](network.task)) if sink is None else None
        sinks += [one for one in (kept, sink) if isinstance(one, Sink)]
        predict_raster(
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
                "broken": broken,
                "views": [list(views.scales), views.flip],
            },
            scratch=next(iter(paths.values())).parent if paths else None,
            progress=progress,
        )
    return None if kept is None else kept.values


def _network(
    model: Callable[[Tensor], Any],
    source: Source,
    as_is: bool,
    task: str,
    names: Sequence[str],
    mean: Sequence[float] | float,
    std: Sequence[float] | float,
    scale: float,
    device: str | torch.device | None,
    window: int,
) -> Network:
    if isinstance(model, Segmenter):
        return of_segmenter(model, source, as_is=as_is)
    return of_callable(
        model,
        source,
        task=task,
        names=names,
        mean=mean,
        std=std,
        scale=scale,
        device=device,
        window=window,
    )


def _opened(source: Any, model: Any, broken: str) -> Source:
    if isinstance(source, ndarray):
        return ArraySource(source)
    if not isinstance(source, str | Path):
        assert isinstance(source, Source)
        return source
    if not isinstance(model, Segmenter):
        return RasterSource(Path(source), broken=broken)
    config = model.config
    return RasterSource(
        Path(source), config.bands, config.in_channels, nodata=config.nodata, broken=broken
    )


def _to_write(path: Path, source: Any) -> Path:
    """The file of an output.

    Raises:
        InputError: Not a TIFF, the raster itself, or a file that we did not write.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"{path}: must end in .tif; rasters are written as GeoTIFF")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it, or choose another")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    read = source.path if isinstance(source, RasterSource) else source
    if isinstance(read, str | Path) and path.resolve() == Path(read).resolve():
        raise InputError(f"{path}: is the raster that is read; choose another file")
    if path.exists() and not _ours(path):
        raise InputError(
            f"{path}: stands there, and pixelwise did not write it; choose another file, or move"
            " it away"
        )
    return path


def _ours(path: Path) -> bool:
    try:
        with open_raster(path) as file:
            return str(file.tags().get("TIFFTAG_SOFTWARE", "")).startswith(SOFTWARE)
    except InputError:
        return False


def _mark(source: Source) -> list[Any]:
    """Tells this raster from others, and from what it was before somebody changed it."""
    if isinstance(source, RasterSource) and source.path.is_file():
        about = source.path.stat()
        return [str(source.path.resolve()), about.st_size, about.st_mtime_ns]
    return [source.name]
