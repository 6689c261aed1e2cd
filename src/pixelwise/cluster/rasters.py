"""A raster on a cluster: some rows of windows are a task.

A worker predicts its rows, and those above that reach into them, and blends them as one machine
would. So what comes back is the answer, compressed, and not the logits of every window.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pixelwise.cluster.blocks import blocks
from pixelwise.cluster.pool import Pool
from pixelwise.cluster.worker import PREDICTING, Raster, Rows, Setup
from pixelwise.cluster.workers import Cluster, network_files
from pixelwise.data.rasters.source import STREAMED
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.predict.rasters.engine import planned
from pixelwise.predict.rasters.grid import Grid
from pixelwise.predict.rasters.sink import GeoTIFFSink, Progress, Sink
from pixelwise.predict.rasters.source import RasterSource, Source
from pixelwise.predict.views import WHOLE, Views


def over(
    cluster: Cluster, model: Model, *, as_is: bool = False, views: Views = WHOLE
) -> Callable[..., None]:
    """What predicts a raster on a cluster; the `engine` of `pixelwise.predict.raster`.

    Args:
        cluster: Where.
        model: The network that `raster` is given.
        as_is: As `raster` is told.
        views: Likewise.
    """

    def engine(
        logits: Any,
        source: Source,
        sinks: Sequence[Sink],
        *,
        prepare: Any,
        window: int,
        overlap: float,
        batch: int,
        plan: Mapping[str, Any],
        scratch: Path | None,
        progress: Progress,
    ) -> None:
        if not isinstance(source, RasterSource):
            raise InputError(
                f"source={source.name}: must be a file for a cluster; write it to one, or predict"
                " it here"
            )
        driver = source.file.driver
        if source.broken == "nodata" and driver in STREAMED:
            raise InputError(
                f"{source.name}: a broken {driver} file cannot be read in parts; convert it to"
                " GeoTIFF, or leave --cluster out"
            )
        writers = [sink for sink in sinks if isinstance(sink, GeoTIFFSink)]
        if len(writers) < len(sinks):
            raise InputError("sink: a cluster writes GeoTIFFs only; name .tif files")
        grid, about = planned(source, window, overlap, batch, plan)
        bands = tuple(sink.bands for sink in writers)
        path = str(source.path.absolute()) if source.path.is_file() else source.name
        raster = Raster(path, grid, bands, views, batch, as_is, source.broken)
        try:
            for sink in writers:
                sink.begin(grid, about)
            rows = sorted({row for sink in writers for row in sink.missing()})
            if rows:
                _predict(cluster, model, raster, rows, source, writers, progress)
            for sink in writers:
                sink.finish(progress)
        finally:
            for sink in writers:
                sink.close()

    return engine


def _predict(
    cluster: Cluster,
    model: Model,
    raster: Raster,
    rows: Sequence[int],
    source: RasterSource,
    sinks: Sequence[GeoTIFFSink],
    progress: Progress,
) -> None:
    grid = raster.grid
    pixel = sum(len(bands.names) * np.dtype(bands.dtype).itemsize for bands in raster.bands)
    jobs = blocks(grid, rows, cluster.workers, pixel)
    read = [path for path in map(Path, source.file.files) if path.is_file()]
    seen = {path.absolute(): path.stat().st_size for path in read}
    setup = Setup(
        network_files(model), cluster.device, torch.get_num_threads(), seen, raster=raster
    )
    count = min(cluster.workers, len(jobs))
    done = grid.rows - len(rows)
    with Pool(cluster.ray, PREDICTING, setup, count, cluster.share, cluster.warn) as pool:
        for _, found in pool.run("rows", jobs, lambda job: _name(source, grid, job)):
            if isinstance(found, InputError):
                raise found
            _take(found, sinks, source)
            done += len(found.rows)
            progress("predicting", done * grid.columns, grid.rows * grid.columns)


def _take(found: Rows, sinks: Sequence[GeoTIFFSink], source: RasterSource) -> None:
    source.lost |= dict.fromkeys(found.lost)
    for sink, contents in zip(sinks, found.contents, strict=True):
        for row, content in zip(found.rows, contents, strict=True):
            sink.put(row, content)


def _name(source: RasterSource, grid: Grid, rows: range) -> str:
    top, bottom = grid.tops[rows.start], grid.until_row(rows.stop - 1)
    return f"{source.name}: rows {top} to {bottom}"
