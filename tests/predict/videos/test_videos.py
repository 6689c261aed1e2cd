import csv
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

import pixelwise.predict
from pixelwise import create_model
from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.predict.images import predict_answer
from pixelwise.predict.videos import encoder as encoder_
from pixelwise.predict.videos.animation import Animation, is_animation
from pixelwise.predict.videos.clip import Clip, _Clock
from pixelwise.predict.videos.encoder import Encoder
from pixelwise.predict.videos.frames import by_number

SIZE = (48, 64)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("fcn", "test_resnet", num_classes=3).eval()


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "net"
    network.save_pretrained(folder)
    return folder


def picture(number, height=48, width=64):
    found = np.zeros((height, width, 3), np.uint8)
    found[: height // 2, : width // 2] = (220, 30, 30)
    found[:, number % width] = 255
    return found


def write(path, count=6, size=SIZE, codec="libx264", pix_fmt="yuv420p", times=None, turned=0,
          audio=False, form=None, **about):  # fmt: skip
    with av.open(str(path), "w", format=form) as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        for name, value in about.items():
            setattr(stream.codec_context, name, value)
        if turned:
            stream.set_display_rotation(turned)
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if audio:
            sound = file.add_stream("aac", rate=44100)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if audio:
            noise = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
            frame.sample_rate = 44100
            file.mux(sound.encode(frame))
            file.mux(sound.encode(None))
    return path


def read(path):
    """Times in milliseconds, and pictures."""
    with av.open(str(path)) as file:
        frames = [*file.decode(video=0)]
    return (
        [round(1000 * frame.pts * frame.time_base) for frame in frames],
        [frame.to_ndarray(format="rgb24") for frame in frames],
    )


def near(a, b):
    """Whether two pictures are the same but for what compression changes."""
    return a.shape == b.shape and np.abs(a.astype(int) - b).mean() < 12


def test_every_frame_is_there_with_its_answer_over_it(network, tmp_path):
    source = write(tmp_path / "clip.mp4")
    done = []
    found = pixelwise.predict.video(
        network, source, tmp_path / "out.mp4", masks=tmp_path / "masks",
        progress=lambda what, now, total: done.append((now, total)),
    )  # fmt: skip
    assert (found.frames, found.problems, found.files) == (6, (), (tmp_path / "out.mp4",))
    assert done[0] == (1, 6)
    assert done[-1] == (6, 6)
    times, shown = read(tmp_path / "out.mp4")
    assert times == [0, 40, 80, 120, 160, 200]
    for number, (_, image) in enumerate(zip(times, read(source)[1], strict=True)):
        answer = predict_answer(network, torch.from_numpy(image.transpose(2, 0, 1).copy()))
        assert near(shown[number], network.task.shown(image, answer, None))
        with Image.open(tmp_path / "masks" / f"out_{number:06d}.png") as mask:
            assert np.array_equal(np.asarray(mask), answer.numpy())
    assert {file.name for file in tmp_path.iterdir()} == {"clip.mp4", "out.mp4", "masks"}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_frames_keep_their_times(network, tmp_path, suffix):
    times = [0, 40, 100, 300, 310, 700, 701, 3000]
    source = write(tmp_path / "clip.mkv", 8, times=times)
    pixelwise.predict.video(network, source, tmp_path / f"out{suffix}")
    assert read(tmp_path / f"out{suffix}")[0] == times
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        assert file.duration >= 3_000_000
    pixelwise.predict.video(network, source, tmp_path / f"out{suffix}", every=3)
    assert read(tmp_path / f"out{suffix}")[0] == [0, 300, 701]


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="PyAV cannot turn clips"
)
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_clips_of_phones_are_turned_upright(tmp_path, turned):
    source = write(tmp_path / "clip.mp4", 2, turned=turned)
    (_, _, found), _ = Clip(source).read()
    assert near(found, np.rot90(picture(0), turned // 90))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("grey.mkv", "ffv1", "gray"),
        ("clear.mkv", "ffv1", "bgra"),
        ("ten.mov", "prores", "yuv422p10le"),
        ("deep.mkv", "ffv1", "yuv444p16le"),
        ("moving.gif", "gif", "rgb8"),
        ("old.avi", "mpeg4", "yuv420p"),
        ("raw.h264", "libx264", "yuv420p"),
        ("звук 中文.mp4", "libx264", "yuv444p"),
        ("tv.ts", "libx264", "yuv420p"),
    ],
)
def test_any_kind_of_clip_is_read(tmp_path, name, codec, pix_fmt):
    size = (49, 63) if pix_fmt == "yuv444p" else SIZE
    form = "h264" if name.endswith("h264") else None
    source = write(tmp_path / name, 4, size, codec, pix_fmt, form=form, audio=name[0] == "з")
    clip = Clip(source)
    found = [*clip.read()]
    assert [number for number, _, _ in found] == [0, 1, 2, 3]
    assert [float(time) for _, time, _ in found] == pytest.approx([0, 0.04, 0.08, 0.12], abs=0.011)
    if pix_fmt != "gray":
        assert near(found[1][2], picture(1, *size))
    assert not clip.problems + clip.remarks


def test_odd_sizes_grow_to_even_ones_and_pixels_keep_their_shape(network, tmp_path):
    source = write(
        tmp_path / "a.mp4", 2, (35, 51), "libx264", "yuv444p", sample_aspect_ratio=Fraction(4, 3)
    )
    pixelwise.predict.video(network, source, tmp_path / "out.mp4")
    assert read(tmp_path / "out.mp4")[1][0].shape == (36, 52, 3)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_colours_that_look_pale_are_told(tmp_path):
    source = write(tmp_path / "a.mkv", 2, codec="ffv1", pix_fmt="yuv420p10le", color_trc=16)
    assert "is HDR (PQ)" in Clip(source).remarks[0]


def test_pictures_become_a_clip_in_the_order_of_their_numbers(network, run, tmp_path, capsys):
    folder = tmp_path / "cam"
    folder.mkdir()
    for number in range(11):
        Image.fromarray(picture(number)).save(folder / f"f{number}.png")
    Image.fromarray(picture(0, 30, 64)).save(folder / "f11.png")
    (folder / "f5.png").write_bytes(b"broken")
    assert by_number([Path("b10.png"), Path("B9.png"), Path("a/z.png")]) == [
        Path("B9.png"), Path("b10.png"), Path("a/z.png"),
    ]  # fmt: skip
    out = tmp_path / "out.mp4"
    assert main(["predict", str(run), str(folder), "--out", str(out), "--fps", "10"]) == 1
    told = capsys.readouterr()
    assert "f5.png" in told.err
    assert "11 frames" in told.out
    times, shown = read(out)
    assert times == [100 * i for i in range(12) if i != 5]
    answer = predict_answer(network, torch.from_numpy(picture(10).transpose(2, 0, 1).copy()))
    assert near(shown[9], network.task.shown(picture(10), answer, None))
    assert shown[10][:8].mean() < 20  # another size is fitted in


KINDS = {
    "binary": {"num_classes": 1},
    "multilabel": {"num_classes": 2},
    "regression": {"num_classes": 2},
    "keypoints": {"num_classes": 3, "names": ("nose", "tail", "paw"), "task_options": {}},
}


@pytest.mark.parametrize("task", KINDS)
def test_every_task_has_clips(task, tmp_path):
    torch.manual_seed(0)
    model = create_model("fcn", "test_resnet", task=task, **KINDS[task]).eval()
    source = write(tmp_path / "clip.mp4", 3, (60, 66))
    out = tmp_path / "out.mp4"
    found = pixelwise.predict.video(model, source, out)
    assert read(out)[1][0].shape == (60, 66, 3)
    if task != "keypoints":
        pixelwise.predict.video(model, source, out, masks=tmp_path / "m", name="a")
        assert len([*(tmp_path / "m").glob("a_00000?.*")]) == 3
        return
    assert found.files == (out, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["frame"], row["time"], row["name"]) for row in rows[2:5]] == [
        ("0", "0", "paw"), ("1", "0.04", "nose"), ("1", "0.04", "tail"),
    ]  # fmt: skip
    image = torch.from_numpy(read(source)[1][1].transpose(2, 0, 1).copy())
    x, y, score = predict_answer(model, image)[0].tolist()
    told = [float(rows[3][name] or "nan") for name in ("x", "y", "score")]
    assert told == pytest.approx([x - 0.5, y - 0.5, score], abs=1e-4, nan_ok=True)
    pixelwise.predict.video(model, source, out)  # both are ours
    with pytest.raises(InputError, match="has none"):
        pixelwise.predict.video(model, source, out, masks=tmp_path / "m")
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(InputError, match=r"out\.csv: stands there"):
        pixelwise.predict.video(model, source, out)
    assert (tmp_path / "out.csv").read_text() == "mine"


def song(path, *, cover):
    with av.open(str(path), "w", format="mp3") as file:
        sound = file.add_stream("mp3", rate=44100)
        if cover:
            art = file.add_stream("mjpeg", rate=1)
            art.height, art.width, art.pix_fmt = 32, 32, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), "s16", "mono")
        frame.sample_rate = 44100
        if cover:
            file.mux(art.encode(av.VideoFrame.from_ndarray(picture(0, 32, 32), "rgb24")))
        file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    return path


def damaged(folder):
    """Files that are no whole clips."""
    whole = write(folder / "whole.mp4", 40).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "words.mp4").write_text("words" * 99)
    song(folder / "song.mp4", cover=False)
    song(folder / "cover.mp4", cover=True)


def test_what_is_no_clip_is_told_in_one_line(network, run, tmp_path, capsys):
    damaged(tmp_path)
    names = {
        "cut": "cannot be read", "empty": "cannot be read", "words": "cannot be read",
        "song": "has no moving picture, only audio", "cover": "has no moving picture",
    }  # fmt: skip
    for name, told in names.items():
        with pytest.raises(InputError, match=rf"{name}\.mp4: {told}.*; "):
            pixelwise.predict.video(network, tmp_path / f"{name}.mp4", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    files = [str(tmp_path / f"{name}.mp4") for name in (*names, "whole")]
    assert main(["predict", str(run), *files, "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("error: ") == len(names)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["whole_overlay.mp4"]


def test_what_can_be_read_of_a_damaged_clip_is_predicted_and_the_rest_is_told(network, tmp_path):
    source = write(tmp_path / "a.mp4", 60)
    content = source.read_bytes()
    with (
        av.open(str(source)) as file,
        av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "faststart"}) as copy,
    ):
        stream = copy.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    content = (tmp_path / "front.mp4").read_bytes()
    (tmp_path / "front.mp4").write_bytes(content[: len(content) - 700])
    found = pixelwise.predict.video(network, tmp_path / "front.mp4", tmp_path / "out.mp4")
    assert 0 < found.frames < 60
    assert f"{found.frames} of 60 frames could be read" in found.problems[0]
    assert len(read(tmp_path / "out.mp4")[0]) == found.frames


REFUSED = [
    (["clip.mp4", "--out", "clip.mp4"], "is what is read"),
    (["clip.mp4", "--out", "theirs.mp4"], "pixelwise did not write it"),
    (["clip.mp4", "--out", "none/out.mp4"], "there is no folder"),
    (["clip.mp4", "--out", "folder.mp4"], "is a folder"),
    (["clip.mp4", "--out", "out.avi"], "are written as .mp4"),
    (["clip.mp4", "--out", "out.tif"], "is a clip; give a folder"),
    (["clip.mp4", "theirs.mp4", "--out", "out.mp4"], "is one clip"),
    (["clip.mp4", "one.png", "--out", "out.mp4"], "is one clip"),
    (["clip.mp4", "--cog", "--out", "out.mp4"], "cog=True: is not for clips"),
    (["clip.mp4", "--cluster", "local"], "cluster='local': is not for clips"),
    (["clip.mp4", "--boxes", "clip.mp4"], "boxes='clip.mp4': is not for clips"),
    (["clip.mp4", "--every", "0"], "every=0"),
    (["clip.mp4", "--overlap", "0.95"], "overlap=0.95"),
    (["one.png", "--out", "out.mp4", "--fps", "0"], "fps=0"),
    (["one.png", "--masks", "masks"], "masks='masks': is for clips"),
    (["gone.mp4"], "no such file"),
    (["clip.mp4", "--out", "out.mp4", "--masks", "one.png"], "one.png: cannot be written"),
    (["clip.mp4", "--out", "out.mp4", "--masks", "held"], "out_000003.png: stands there"),
]  # fmt: skip


def test_what_does_not_fit_is_told_and_nothing_is_lost(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "clip.mp4")
    write(tmp_path / "theirs.mp4")
    Image.fromarray(picture(0)).save("one.png")
    Path("folder.mp4").mkdir()
    Path("held").mkdir()
    Path("held/out_000003.png").write_text("mine")
    before = {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
    for words, told in REFUSED:
        assert main(["predict", str(run), *words]) == 2, words
        said = capsys.readouterr()
        assert told in said.err, said.err
        assert said.err.count("\n") == 1
        after = {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
        assert after == before, words


def test_a_stopped_run_leaves_no_file_and_a_clip_of_ours_is_replaced_when_the_new_is_whole(
    network, tmp_path
):
    source, out = write(tmp_path / "clip.mp4", 30), tmp_path / "out.mp4"

    def stop(what, done, total):
        if done == 7:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pixelwise.predict.video(network, source, out, progress=stop, masks=tmp_path / "m")
        assert not [*tmp_path.glob("*out*"), *tmp_path.glob(".*out*")]
    pixelwise.predict.video(network, source, out, every=9)
    first = out.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        pixelwise.predict.video(network, source, out, progress=stop)
    assert out.read_bytes() == first
    pixelwise.predict.video(network, source, out)
    assert len(read(out)[0]) == 30


def test_a_disk_without_room_is_told_and_nothing_is_left(network, tmp_path, monkeypatch):
    source = write(tmp_path / "clip.mp4", 5)

    def full(self, frame):
        raise self._failed(OSError(28, "No space left on device"))

    monkeypatch.setattr(Encoder, "_mux", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); "):
        pixelwise.predict.video(network, source, tmp_path / "out.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_without_the_usual_encoder_another_is_taken_and_named(network, tmp_path, monkeypatch):
    source = write(tmp_path / "clip.mp4", 3, times=[0, 33, 66])
    formats = {".mp4": ("mp4", ("libnothing", "mpeg4")), ".webm": ("webm", ("libnothing",))}
    monkeypatch.setattr(encoder_, "FORMATS", formats)
    found = pixelwise.predict.video(network, source, tmp_path / "out.mp4")
    assert "written by mpeg4" in found.remarks[0]
    assert read(tmp_path / "out.mp4")[0] == [0, 33, 66]
    with pytest.raises(InputError, match="no encoder takes frames of 64 x 48 pixels"):
        pixelwise.predict.video(network, source, tmp_path / "out.webm")


def test_without_pyav_clips_are_refused_and_pictures_beside_them_predicted(
    run, tmp_path, monkeypatch, capsys
):
    clip = write(tmp_path / "clip.mp4", 2)
    Image.fromarray(picture(0)).save(tmp_path / "one.png")
    monkeypatch.setitem(sys.modules, "av", None)
    for words in ([str(clip)], [str(tmp_path / "one.png"), "--out", str(tmp_path / "o.mp4")]):
        assert main(["predict", str(run), *words]) == 2
        assert "pip install 'pixelwise[video]'" in capsys.readouterr().err
    assert main(["predict", str(run), str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "1 clips, as " in told.err
    assert "1 of 1 pictures predicted" in told.out


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_animated_pictures_are_clips(run, tmp_path, suffix):
    source = tmp_path / f"a{suffix}"
    first, *others = (Image.fromarray(picture(9 * i)) for i in range(4))
    first.save(
        source, save_all=True, append_images=others, duration=[40, 100, 60, 40], lossless=True
    )
    first.save(tmp_path / f"still{suffix}")
    out = tmp_path / "out.mp4"
    assert main(["predict", str(run), str(source), "--out", str(out)]) == 0
    assert read(out)[0] == [0, 40, 140, 200]
    found = [(number, shown) for number, _, shown in Animation(source).read(2)]
    assert [number for number, _ in found] == [0, 2]
    assert all(np.array_equal(shown, picture(9 * number)) for number, shown in found)
    assert not is_animation(tmp_path / f"still{suffix}")


def test_times_rise_where_a_clock_stands_still_or_begins_anew():
    clock = _Clock(Fraction(10), Fraction(1, 100))
    stated = [5, 5.1, 5.1, 5.3, None, 5.2]
    found = [
        clock.next(i, None if second is None else Fraction(str(second)))
        for i, second in enumerate(stated)
    ]
    assert [float(time) for time in found] == pytest.approx([0, 0.1, 0.11, 0.3, 0.4, 0.41])
    clock = _Clock(Fraction(10), Fraction(1, 100))
    assert [float(clock.next(i, Fraction(i % 20, 10))) for i in range(40)] == pytest.approx(
        [i / 10 for i in range(40)]
    )


def test_a_name_with_a_colon_is_a_file(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "file:a.mp4", 2)
    pixelwise.predict.video(network, "file:a.mp4", "b:%03d.mp4")
    assert len(read(tmp_path / "b:%03d.mp4")[0]) == 2


def test_clips_and_pictures_go_to_one_folder(run, tmp_path, capsys):
    write(tmp_path / "a.mp4", 2)
    write(tmp_path / "a.mkv", 2)
    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    (tmp_path / "words.ts").write_text("export {}")
    assert main(["predict", str(run), str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert {file.name for file in (tmp_path / "out").glob("a*")} == {
        "a_overlay.mp4", "a_mp4_overlay.mp4", "a.png", "a_overlay.png",
    }  # fmt: skip
    assert "2 of 2 clips predicted" in capsys.readouterr().out
    words = ["predict", str(run), str(tmp_path / "out")]
    assert main([*words, "--out", str(tmp_path / "again")]) == 0  # our own clips are left out
    assert not [*(tmp_path / "again").glob("*.mp4")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_command_never_leaves_a_broken_clip(run, tmp_path, number):
    source = write(tmp_path / "clip.mp4", 400, (240, 320))
    out = tmp_path / "out.mp4"
    words = ["predict", str(run), str(source), "--out", str(out), "--quiet"]
    code = f"from pixelwise.cli.main import main; import sys; sys.exit(main({words!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    work = tmp_path / ".out.mp4.unfinished" / "out.mp4"
    while process.poll() is None and not work.exists():
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert not out.exists()
    assert main([*words, "--every", "100"]) == 0
    assert len(read(out)[0]) == 4
    assert {file.name for file in tmp_path.iterdir()} == {"clip.mp4", "out.mp4"}
