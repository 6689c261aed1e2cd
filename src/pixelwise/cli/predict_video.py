"""`pixelwise predict RUN clip.mp4`: clips, and pictures that become one."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from pixelwise.checks import at_least, in_range
from pixelwise.cli.console import Console
from pixelwise.cli.given import check_out, refuse_given
from pixelwise.cli.predict_raster import OTHERS, USUAL, is_raster
from pixelwise.cli.views import views_of
from pixelwise.devices import pick_device
from pixelwise.errors import InputError
from pixelwise.export.named import results_of
from pixelwise.language import translate
from pixelwise.predict.videos.library import CLIP_SUFFIXES, FORMATS

if TYPE_CHECKING:
    from pixelwise.predict.videos.video import Filmed

CLIPS = tuple(FORMATS)
"""Suffixes of clips that can be written."""
OWN = {"masks": None, "every": 1, "fps": 25.0}
"""Options that are for clips alone, as they are where nothing is said."""


def add_video_options(parser: Any) -> None:
    """The options that are for clips alone."""
    parser.add_argument(
        "--masks", type=str | None, help="for clips: a folder for the masks of every frame too"
    )
    parser.add_argument(
        "--every", type=int, default=1, help="for clips: predict only each so many frames"
    )
    parser.add_argument(
        "--fps", type=float, default=25.0, help="frames per second where pictures become a clip"
    )


def is_clip(out: str | None) -> bool:
    """Whether one clip is to be written."""
    return out is not None and Path(out).suffix.lower() in CLIPS


def split(found: Namespace) -> tuple[list[Path], list[str]]:
    """The clips to predict, and what else is named; options that do not fit are refused."""
    from pixelwise.predict.videos.inputs import clips_and_others

    one = is_clip(found.out)
    if found.out is not None and not one and Path(found.out).suffix.lower() in CLIP_SUFFIXES:
        raise InputError(
            f"out={found.out!r}: clips are written as {', '.join(CLIPS)}; choose one of them"
        )
    clips, others, left = clips_and_others(found.pictures, any_suffix=one)
    if left:
        print(
            translate(
                "{left} clips, as {left2}, are left out: PyAV is needed for clips; pip"
                " install 'pixelwise[video]'"
            ).format(left=len(left), left2=left[0]),
            file=sys.stderr,
        )
    if not (clips or one):
        refuse_given(found, OWN, "is for clips; leave it out, or give a clip")
        return [], others
    usual = {**dict.fromkeys((*OTHERS, "cluster")), **USUAL}
    refuse_given(found, usual, "is not for clips; leave it out")
    at_least(1, every=found.every)
    in_range(0.01, 1000, fps=found.fps)
    if one and (len(clips) > 1 or (clips and others)):
        raise InputError(
            f"out={found.out!r}: is one clip, but pictures={found.pictures}; give a folder for"
            " --out"
        )
    if is_raster(found.out):
        raise InputError(
            f"out={found.out!r}: is a raster, but {clips[0]} is a clip; give a folder or a .mp4"
            " for --out"
        )
    return clips, others


def predict_clips(found: Namespace, clips: Sequence[Path]) -> int:
    """Predict clips into a folder, or what is named into one clip; returns the exit code."""
    one = is_clip(found.out)
    if not one:
        check_out(found.out, found.run)
    with Console(quiet=found.quiet) as console:
        from pixelwise.compiling.telling import Compiling
        from pixelwise.export.opening import open_model
        from pixelwise.predict.images import find_pictures
        from pixelwise.predict.memory import enough_memory
        from pixelwise.predict.prepared import MANY, chosen, prepared
        from pixelwise.predict.videos.clip import UnreadableError
        from pixelwise.predict.videos.frames import by_number
        from pixelwise.predict.videos.library import library
        from pixelwise.predict.videos.video import check_output, outputs_of, video

        library(clips[0] if clips else found.out)
        views = views_of(found)
        device = pick_device(found.device)
        model = open_model(found.run).to(device)
        works: dict[Path, Any] = {}
        names: dict[Path, str] = {}
        if one:
            works[Path(found.out)] = clips[0] if clips else by_number(find_pictures(found.pictures))
        else:
            folder = Path(found.out) if found.out else results_of(found.run) / "predict"
            for clip, (name, file) in outputs_of(clips, model.task).items():
                works[folder / file], names[folder / file] = clip, name
            folder.mkdir(parents=True, exist_ok=True)
        for out, source in works.items():
            check_output(out, [source] if isinstance(source, Path) else source, model.task)
        console.say(
            translate("model   {arch} on {backbone}\ninput   {told}, on {device}").format(
                arch=model.config.arch,
                backbone=model.config.backbone,
                told=_told(works),
                device=device,
            )
        )
        form = chosen(found.precision, model, device)
        form.tell(console.say)
        compiling = Compiling(found.compile, console.say)
        quick = prepared(model, form.precision, MANY, compiling)  # a clip has as many frames
        problems, done = 0, 0
        for out, source in works.items():
            try:
                with enough_memory(model, round(found.window * max(views.scales))):
                    filmed = video(
                        quick,
                        source,
                        out,
                        masks=found.masks,
                        name=names.get(out),
                        every=found.every,
                        fps=found.fps,
                        window=found.window,
                        overlap=found.overlap,
                        as_is=found.as_is,
                        max_megapixels=found.max_megapixels,
                        views=views,
                        progress=console.busy,
                    )
            except UnreadableError as error:
                if len(works) == 1:
                    raise
                problems += 1
                console.warn(f"error: {error}")
                continue
            done += 1
            problems += len(filmed.problems)
            _tell(console, filmed)
        compiling.tell()
        print(
            translate("{done} of {works} clips predicted: {what}").format(
                done=done, works=len(works), what=found.out if one else folder
            )
        )
    return 1 if problems else 0


def _told(works: dict[Path, Any]) -> str:
    (first, *others) = works.values()
    if not isinstance(first, Path):
        return translate("{first} pictures").format(first=len(first))
    return translate("{amount} clips").format(amount=len(others) + 1) if others else str(first)


def _tell(console: Console, filmed: "Filmed") -> None:
    for line in filmed.remarks:
        console.warn(line)
    for line in filmed.problems[:5]:
        console.warn(f"error: {line}")
    if len(filmed.problems) > 5:
        console.warn(
            translate("error: {problems} pictures in all cannot be used").format(
                problems=len(filmed.problems)
            )
        )
    if filmed.missing:
        console.warn(
            translate("{missing} of {pixels} pixels in {frames} frames have no data").format(
                missing=filmed.missing, pixels=filmed.pixels, frames=filmed.frames
            )
        )
    console.say(
        translate("{filmed}: {frames} frames").format(filmed=filmed.files[0], frames=filmed.frames)
    )
