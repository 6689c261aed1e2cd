"""The CSV files of a run, whatever was done to them between two starts."""

import errno
from pathlib import Path

import pytest

from pixelwise.errors import InputError
from pixelwise.train.journal import append, cut, read_rows

HEAD = "step,loss\r\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "steps.csv"


def steps(file):
    return [row["step"] for row in read_rows(file)]


def test_rows_beyond_the_checkpoint_go(file):
    append(file, [{"step": s, "loss": s / 10} for s in range(1, 6)])
    told = []
    cut(file, 3, told.append)
    assert file.read_bytes() == b"step,loss\r\n1,0.1\r\n2,0.2\r\n3,0.3\r\n"
    assert not told
    append(file, [{"step": 4, "loss": 0.4}])
    assert steps(file) == [1, 2, 3, 4]


@pytest.mark.parametrize("torn", ["4", "4,0.", "4,0.4\r", "step", "", '4,"0'])
def test_a_line_that_a_kill_cut_off_goes_without_a_word(file, torn):
    told = []
    file.write_bytes(f"{HEAD}1,0.1\r\n2,0.2\r\n{torn}".encode())
    cut(file, 2, told.append)
    assert steps(file) == [1, 2]
    assert not told


@pytest.mark.parametrize("torn", ["", "s", "step", "step,lo"])
def test_a_first_line_that_a_kill_cut_off_goes_without_a_word(file, torn):
    told = []
    file.write_text(torn)
    cut(file, 0, told.append)
    assert not file.exists()
    assert not told
    append(file, [{"step": 1, "loss": 1.0}])
    assert read_rows(file) == [{"step": 1, "loss": 1.0}]


@pytest.mark.parametrize(
    ("content", "kept", "lost"),
    [
        (f"{HEAD}1,0.1\r\nnote to self\r\n2,0.2\r\n", [1, 2], 1),
        (f"{HEAD}1,0.1,9\r\n2\r\n3,0.3\r\n", [3], 2),
        (f"{HEAD}3,0.3\r\n1,0.1\r\n2,0.2\r\n", [1, 2, 3], 0),
        (f"{HEAD}1,0.1\r\n1,0.1\r\n2,0.2\r\n2,0.7\r\n", [1, 2], 1),
        (f"{HEAD}\r\n1,0.1\r\n\r\n\r\n2,0.2", [1, 2], 0),
        (f"\ufeff{HEAD}1,0.1\r\n", [1], 0),
        (f"{HEAD}²,0.1\r\n-1,0.1\r\n1.5,1\r\n{'9' * 5000},1\r\n4,1\r\n", [4], 4),
        ('step,"iou_a,b"\n1,0.1\n2,"0.2\n3,0.3\n', [1, 2, 3], 0),
        (f"{HEAD}1,\x00\r\n2,0.2\r\n", [1, 2], 0),
    ],
)
def test_what_a_hand_did(file, content, kept, lost):
    told = []
    file.write_bytes(content.encode())
    cut(file, 10, told.append)
    assert steps(file) == kept
    assert [line.split(": ")[1].split(" ")[0] for line in told] == ([str(lost)] if lost else [])
    aside = file.with_name("steps.damaged-1.csv")
    assert aside.exists() == bool(lost)
    assert not lost or aside.read_bytes() == content.encode()


@pytest.mark.parametrize(
    "content", ["step;loss\r\n1;0,1\r\n", "epoch,loss\n1,2\n", "step,loss,loss\n1,2,3\n", "junk"]
)
def test_a_file_of_another_shape_is_kept_aside(file, content):
    told = []
    for number in (1, 2):
        file.write_text(content, newline="")
        cut(file, 10, told.append)
        assert not file.exists()
        assert file.with_name(f"steps.damaged-{number}.csv").read_text() == content.replace(
            "\r\n", "\n"
        )
    assert all("its first line does not begin with 'step'" in line for line in told)


def test_bytes_that_are_no_text(file):
    told = []
    file.write_bytes(b"step,loss\r\n1,0.1\r\n2,\xff\xfe\r\n3,0.3\r\n")
    cut(file, 10, told.append)
    assert steps(file) == [1, 3]
    assert "1 rows cannot be read" in told[0]


def test_columns_of_another_version_do_not_shift(file):
    file.write_text("step,lr,loss,old\n1,0.5,0.1,7\n")
    append(file, [{"step": 2, "loss": 0.2, "seconds": 3.0, "lr": 0.4}])
    assert read_rows(file) == [
        {"step": 1, "lr": 0.5, "loss": 0.1, "old": 7, "seconds": None},
        {"step": 2, "lr": 0.4, "loss": 0.2, "old": None, "seconds": 3.0},
    ]
    append(file, [{"step": 3, "lr": 0.3}])
    assert file.read_text().splitlines()[-1] == "3,0.3,,,"


def test_names_of_classes_may_be_anything(file):
    row = {"step": 1, 'iou_a,"b"': 0.5, "iou_道路": None, "iou_two\nlines": 1.0}
    append(file, [row])
    append(file, [{**row, "step": 2}])
    cut(file, 2, pytest.fail)
    assert read_rows(file)[1] == {
        "step": 2, 'iou_a,"b"': 0.5, "iou_道路": None, "iou_two lines": 1.0,
    }  # fmt: skip


def test_cells_that_are_no_numbers_are_none(file):
    file.write_text("step,loss\n1,n/a\n2,nan\n")
    assert read_rows(file)[0] == {"step": 1, "loss": None}
    assert read_rows(file)[1]["loss"] != read_rows(file)[1]["loss"]


def test_rows_are_written_whole_or_not_at_all(file, monkeypatch):
    append(file, [{"step": 1, "loss": 0.1}])
    before = file.read_bytes()
    opened = Path.open

    def full(path, mode="r", *args, **options):
        found = opened(path, mode, *args, **options)
        if "a" not in mode:
            return found
        write = found.write

        def half(text):
            write(text[:3])
            found.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

        found.write = half
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match="No space"):
            append(file, [{"step": 2, "loss": 0.2}])
    assert file.read_bytes() == before
    append(file, [{"step": 2, "loss": 0.2}])
    assert steps(file) == [1, 2]


def test_a_folder_in_its_place(file):
    file.mkdir()
    with pytest.raises(InputError, match=r"steps.csv: is a folder; move it away"):
        cut(file, 1, pytest.fail)
