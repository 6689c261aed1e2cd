"""`pixelwise.predict.video`: a clip with what a network says of its frames drawn over them."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from pixelwise.checks import at_least, in_range
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.outputs import Outputs, alone
from pixelwise.predict.images import output_names, predict_answer
from pixelwise.predict.rasters.outputs import same
from pixelwise.predict.rasters.sink import Progress
from pixelwise.predict.rasters.threads import ahead, behind
from pixelwise.predict.videos.animation import Animation, is_animation
from pixelwise.predict.videos.clip import Clip
from pixelwise.predict.videos.encoder import Encoder, is_ours
from pixelwise.predict.videos.frames import ClipFrames, Frame, Frames, PictureFrames
from pixelwise.predict.videos.library import FORMATS
from pixelwise.predict.videos.table import Table, check_table
from pixelwise.predict.views import WHOLE, Views
from pixelwise.tasks.base import Task


@dataclass(frozen=True)
class Filmed:
    """What became of a clip.

    Args:
        files: What was written, beside masks.
        frames: How many frames were predicted.
        problems: What could not be read, a line each.
        remarks: What people should know.
        pixels: Of all frames; `missing`: those without data.
    """

    files: tuple[Path, ...]
    frames: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    pixels: int
    missing: int


def video(
    model: Model,
    source: str | Path | Sequence[Path],
    out: str | Path,
    *,
    masks: str | Path | None = None,
    name: str | None = None,
    every: int = 1,
    fps: float = 25.0,
    window: int | None = 1024,
    overlap: float = 0.25,
    as_is: bool = False,
    max_megapixels: float = 179.0,
    views: Views = WHOLE,
    progress: Progress = lambda what, done, total: None,
) -> Filmed:
    """Predict a clip frame by frame and write one with the answers drawn over the frames.

    It has the size and the times of the clip, upright, without sound. A file appears when it is
    whole. Of points there is a table beside it, of the same name, with the suffix .csv.

    Args:
        model: In eval mode.
        source: A clip, or pictures in order.
        out: The clip to write: .mp4, .m4v, .mov, .mkv or .webm.
        masks: A folder for the masks or values of every frame.
        name: Beginning of their names; by default that of `out`.
        every: Predict only each so many frames; the others are not in the output.
        fps: Frames per second of pictures.
        window: A frame with a side of more pixels is predicted in tiles; None never is.
        overlap: The least fraction of a tile that its neighbour covers too, in [0, 1).
        as_is: Take values that are unlike those of the training pictures too.
        max_megapixels: Larger pictures are refused, unless they are TIFFs.
        views: What is averaged of each frame, or of each tile.
        progress: Told what is done.

    Raises:
        InputError: A file that cannot be read or written, or that would be lost.
    """
    at_least(1, every=every)
    in_range(0.01, 1000, fps=fps)
    in_range(0, 0.9, overlap=overlap)
    views = views.suited(model.task)
    path = Path(out)
    sources = [Path(source)] if isinstance(source, str | Path) else source
    check_output(path, sources, model.task)
    table = table_of(path, model.task)
    if masks is not None:
        check_masks(model.task)
    frames: Frames
    remarks: list[str] = []
    if isinstance(source, str | Path):
        clip = Animation(sources[0]) if is_animation(sources[0]) else Clip(sources[0])
        frames = ClipFrames(clip, model, every=every, as_is=as_is)
        remarks = clip.remarks
    else:
        frames = PictureFrames(
            source, model, rate=fps, every=every, as_is=as_is, max_megapixels=max_megapixels
        )
    with _Film(path, table, frames, model.task, masks, name or path.stem, every) as film:
        with ahead(frames) as read, behind(film.write) as written:
            for frame in read:
                answer = predict_answer(
                    model, frame.image, window=window, overlap=overlap, views=views
                )
                written((frame, answer))
                film.frames += 1
                progress("predicting", film.frames, max(frames.total, film.frames + 1))
        if not film.frames:
            told = frames.problems[0] if frames.problems else f"{frames.name}: holds no frame"
            raise InputError(told)
        film.finish()
        progress("predicting", film.frames, film.frames)
    assert film.encoder is not None
    if not film.encoder.usual:
        remarks = [*remarks, f"{path}: written by {film.encoder.codec}; FFmpeg has no other here"]
    files = (path,) if table is None else (path, table)
    return Filmed(
        files, film.frames, tuple(frames.problems), tuple(remarks), film.pixels, film.missing
    )


def table_of(path: Path, task: Task) -> Path | None:
    """The table beside a clip; None: the task has none."""
    return path.with_suffix(".csv") if task.columns else None


def check_masks(task: Task) -> None:
    """Raise an InputError where a task writes nothing per frame."""
    if len(task.file_names("a")) < 2:
        raise InputError(
            f"masks: task {task.key!r} has none; leave them out, points are in a table"
        )


def outputs_of(clips: Sequence[Path], task: Task) -> dict[Path, tuple[str, str]]:
    """For each clip a name, and the name of its file; all are different."""

    def shown(name: str) -> tuple[str, ...]:
        return (Path(task.file_names(name)[-1]).with_suffix(".mp4").name,)

    names = output_names(clips, shown)
    return {clip: (name, shown(name)[0]) for clip, name in names.items()}


def check_output(path: Path, sources: Sequence[Path], task: Task) -> None:
    """Raise an InputError where a clip cannot be written, or something would be lost."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: must end in {', '.join(FORMATS)}; choose one of them")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it, or choose another")
    if any(same(path, source) for source in sources):
        raise InputError(f"{path}: is what is read; choose another file")
    if path.exists() and not is_ours(path):
        raise InputError(
            f"{path}: stands there, and pixelwise did not write it; choose another file, or move"
            " it away"
        )
    table = table_of(path, task)
    if table is not None:
        check_table(table)


class _Film:
    """What is written of a clip: it is in a hidden folder until it is whole."""

    def __init__(
        self,
        path: Path,
        table: Path | None,
        frames: Frames,
        task: Task,
        masks: str | Path | None,
        name: str,
        every: int,
    ) -> None:
        self._path, self._table_path, self._source, self._task = path, table, frames, task
        self._masks, self._name, self._every = masks, name, every
        self._folder = path.with_name(f".{path.name}.unfinished")
        self._held = ExitStack()
        self.encoder: Encoder | None = None
        self._table: Table | None = None
        self._outputs: Outputs | None = None
        self.frames = self.pixels = self.missing = 0

    def __enter__(self) -> "_Film":
        try:
            self._folder.mkdir(exist_ok=True)
            self._held.enter_context(alone(self._folder))
        except OSError as error:
            raise self._unwritable(error) from error
        self._held.callback(shutil.rmtree, self._folder, ignore_errors=True)
        try:
            if self._table_path is not None:
                self._table = Table(self._folder / self._table_path.name, self._task.columns)
            if self._masks is not None:
                self._begin_masks(Path(self._masks))
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise self._unwritable(error) from error
            raise
        return self

    def _begin_masks(self, folder: Path) -> None:
        self._outputs = self._held.enter_context(Outputs(folder, "predict", "--masks"))
        for number in range(0, self._source.total * self._every, self._every):
            self._outputs.check(self._files(number))

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path.parent}: cannot be written ({error.strerror}); choose another --out"
        )

    def write(self, found: tuple[Frame, Tensor]) -> None:
        """A frame and the answer to it."""
        frame, answer = found
        shown = self._task.shown(frame.shown, answer, frame.missing)
        if self.encoder is None:
            source = self._source
            self.encoder = Encoder(
                self._folder / self._path.name,
                (shown.shape[0], shown.shape[1]),
                source.rate,
                source.tick,
                source.shape,
            )
        self.encoder.write(shown, frame.time)
        if self._table is not None:
            self._table.add(frame.number, frame.time, self._task.rows(answer))
        if self._outputs is not None:
            self._record(frame, answer)
        self.pixels += shown.shape[0] * shown.shape[1]
        self.missing += 0 if frame.missing is None else int(frame.missing.sum())

    def _record(self, frame: Frame, answer: Tensor) -> None:
        assert self._outputs is not None
        folder, name = self._outputs.folder, f"{self._name}_{frame.number:06d}"
        with self._outputs.writing(*self._files(frame.number)):
            self._task.record(folder, name, answer, frame.missing, frame.source)

    def _files(self, number: int) -> tuple[str, ...]:
        return self._task.file_names(f"{self._name}_{number:06d}")[:-1]

    def finish(self) -> None:
        """All frames were written: the files get their names."""
        assert self.encoder is not None
        self.encoder.finish()
        if self._table is not None and self._table_path is not None:
            self._table.close()
            (self._folder / self._table_path.name).replace(self._table_path)
        self.encoder.path.replace(self._path)
        self.encoder.done = True

    def __exit__(self, *_: object) -> None:
        if self._table is not None:
            self._table.close()
        if self.encoder is not None and not self.encoder.done:
            self.encoder.drop()
        self._held.close()
