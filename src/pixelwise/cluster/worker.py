"""What runs in a process of the cluster: a network, loaded once, and what it is asked for."""

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from pixelwise.cluster.alike import greeting
from pixelwise.cluster.pool import Kind
from pixelwise.data.rasters.files import cache_for, limited_cache
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.export.named import is_exported
from pixelwise.export.opening import open_model
from pixelwise.networks.model import Model
from pixelwise.predict.images import Answered, How, Wanted, answered
from pixelwise.predict.memory import enough_memory
from pixelwise.predict.rasters.engine import predict_rows
from pixelwise.predict.rasters.grid import Grid
from pixelwise.predict.rasters.network import Network, of_segmenter
from pixelwise.predict.rasters.parts import Parts
from pixelwise.predict.rasters.sink import RowSink
from pixelwise.predict.rasters.source import RasterSource, as_trained
from pixelwise.predict.views import Views
from pixelwise.tasks.bands import Bands


@dataclass(frozen=True)
class Raster:
    """A raster, and what is wanted of it; see `pixelwise.predict.raster`."""

    path: str
    grid: Grid
    bands: tuple[Bands, ...]
    views: Views
    batch: int
    as_is: bool
    broken: str


@dataclass(frozen=True)
class Setup:
    """All that a worker has to know.

    Args:
        network: The files of a saved network, or an exported file and what is beside it.
        device: Where it runs.
        threads: Of the processor; with another number of them the last bits differ.
        seen: Input files and their sizes, which every machine must see.
        how: What pictures are predicted with.
        raster: What is predicted, where it is one.
    """

    network: Mapping[str, bytes]
    device: str
    threads: int
    seen: Mapping[Path, int]
    how: How = field(default_factory=How)
    raster: Raster | None = None


@dataclass(frozen=True)
class Files:
    """Results' files by name, which appear whole or not at all."""

    contents: Mapping[str, bytes]

    def __call__(self, folder: Path) -> None:
        """Write them."""
        for name, content in self.contents.items():
            partial = folder / f".{name}.partial"
            try:
                partial.write_bytes(content)
                partial.replace(folder / name)
            finally:
                partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Rows:
    """Some rows of windows of a raster: of each output the files of its parts.

    `lost` is what could not be read of the raster, as `RasterSource.lost` has it.
    """

    rows: range
    contents: tuple[tuple[bytes, ...], ...]
    lost: tuple[tuple[int, int, int, int], ...]


class Worker:
    """One process of the cluster."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._setup: Setup | None = None
        self._opened: tuple[RasterSource, Network] | None = None

    def load(self, setup: Setup) -> dict[str, str]:
        """Load the network, and look whether the inputs are seen; gives versions, and the host.

        Raises:
            InputError: An input is not seen here.
        """
        hello = greeting(setup.seen)
        torch.set_num_threads(setup.threads)
        with tempfile.TemporaryDirectory() as folder:
            Files(setup.network)(Path(folder))
            exported = [name for name in setup.network if is_exported(Path(folder, name))]
            self._model = open_model(Path(folder, *exported)).to(pick_device(setup.device))
        self._setup = setup
        return hello

    def picture(self, wanted: Wanted) -> Answered:
        """Predict a picture; the result's files are in what is given back."""
        model, setup = self._loaded()
        try:
            with enough_memory(model, setup.how.window or 1024):
                found = answered(model, wanted, setup.how)
        except InputError as error:
            return Answered(wanted, str(error))
        if found.problem is not None:
            return found
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            found.write(folder)
            contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        answer = found.answer if model.task.common_files else None
        return replace(found, answer=answer, write=Files(contents))

    def rows(self, rows: range) -> Rows:
        """Predict some rows of windows of the raster.

        Raises:
            InputError: A window that cannot be read, or too little memory.
        """
        model, setup = self._loaded()
        raster = setup.raster
        assert raster is not None
        window = round(max(raster.grid.window) * max(raster.views.scales))
        with (
            tempfile.TemporaryDirectory() as name,
            limited_cache(),
            enough_memory(model, window),
            contextlib.ExitStack() as ended,
        ):
            source, network = self._open(model, raster)
            ended.enter_context(limited_cache(cache_for(source.file, raster.grid.window[1])))
            folder = Path(name)
            sinks = [
                RowSink(Parts(folder / str(i), raster.grid, len(bands.names), bands.dtype), bands)
                for i, bands in enumerate(raster.bands)
            ]
            predict_rows(
                raster.views.averaged(network.logits, network.task),
                source,
                sinks,
                raster.grid,
                rows,
                network.prepare,
                raster.batch,
                folder,
                lambda what, done, total: None,
            )
            contents = tuple(tuple(sink.parts.content(row) for row in rows) for sink in sinks)
        return Rows(rows, contents, tuple(source.lost))

    def _open(self, model: Model, raster: Raster) -> tuple[RasterSource, Network]:
        if self._opened is None:
            source = as_trained(raster.path, model.config, raster.broken)
            self._opened = source, of_segmenter(model, source, as_is=raster.as_is)
        return self._opened

    def _loaded(self) -> tuple[Model, Setup]:
        assert self._model is not None
        assert self._setup is not None
        return self._model, self._setup


PREDICTING = Kind(
    Worker,
    begins="load the network",
    remedy="give them more memory, or lower --window",
    extras="cluster,raster",
)
