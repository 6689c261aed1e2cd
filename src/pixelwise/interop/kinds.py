"""What a file is by its first bytes: its name may say otherwise."""

import tarfile
import zipfile
from pathlib import Path

from pixelwise.errors import InputError

SAVE = "torch.save(model.state_dict(), 'weights.pth')"
HEAD = 512
"""So many bytes are looked at."""

ARCHIVE, SAFETENSORS, PICKLE = "archive", "safetensors", "pickle"
"""What can be read: the zip archives of torch, safetensors, and pickles, those of old torch too."""

FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
        "fetch it with: git lfs pull",
    ),
    (b"\x89HDF", "an HDF5 file (Keras)", "its weights cannot be imported"),
    (b"\x89PNG", "a PNG picture", "give the checkpoint"),
    (b"\xff\xd8\xff", "a JPEG picture", "give the checkpoint"),
    (b"%PDF", "a PDF document", "give the checkpoint"),
    (b"\x93NUMPY", "one NumPy array", "save all weights by name, e.g. as safetensors"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (b"(\xb5/\xfd", "compressed with zstd", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
)
"""First bytes, what they are, and what to do."""


def kind_of(path: Path) -> str:
    """`ARCHIVE`, `SAFETENSORS` or `PICKLE`.

    Raises:
        InputError: The file is something else, and says what.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the checkpoint file in it")
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a checkpoint, e.g. danet_r50-d8.pth")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
    size = path.stat().st_size
    if not head:
        raise InputError(f"{path}: is empty (0 bytes); copy or download it again")
    told = _foreign(head, path)
    if told:
        what, remedy = told
        raise InputError(f"{path}: is {what} ({size:,} bytes); {remedy}")
    if head.startswith(b"PK"):
        return _archive(path, size)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length + 8 <= size:
        return SAFETENSORS
    if path.suffix == ".safetensors" and (head[8:9] == b"{" or size < 9):
        raise broken(path, f"its header tells {length + 8:,} bytes, it has {size:,}")
    return PICKLE


def _foreign(head: bytes, path: Path) -> tuple[str, str] | None:
    for start, what, remedy in FOREIGN:
        if head.startswith(start):
            return what, remedy
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<") and (b"html" in text or b"<!doctype" in text or b"<?xml" in text):
        page = "a web page, not a checkpoint"
        return page, "the download was refused or is behind a form: open it in a browser"
    if text.startswith((b"{", b"[")) and text[1:2] in b' \r\n"[{]}':
        if path.name.endswith(".index.json"):
            return "the index of weights in several files", "join them into one file first"
        return "JSON text, not weights", "give the file that holds the weights"
    if head.startswith(b"\x08") and (b"onnx" in head or path.suffix == ".onnx" or _onnx(head)):
        return "an ONNX model", f"save the weights where it was exported from: {SAVE}"
    if len(head) > 262 and head[257:262] == b"ustar" and tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            names = archive.getnames()
        if {"pickle", "storages"} <= set(names):
            return (
                "a checkpoint of PyTorch before 0.2, which cannot be read safely",
                f"open it with that version and save {SAVE}",
            )
        return f"a tar archive of {', '.join(names[:3]) or 'nothing'}", "unpack it first"
    return None


def _onnx(head: bytes) -> bool:
    """Whether the first fields are those of an ONNX model: its version, then who wrote it."""
    return len(head) > 4 and head[2] == 0x12 and head[4 : 4 + head[3]].isascii()


def _archive(path: Path, size: int) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise broken(path, str(error)) from error
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or "code/" in {name[:5] for name in inner}:
        told = "is a TorchScript archive, which holds code"
        raise InputError(f"{path}: {told}, and was not opened; save the weights alone: {SAVE}")
    if inner & {"models/model.json", "serialized_exported_program.json"} or (
        "archive_format" in inner
    ):
        raise InputError(f"{path}: is a program of torch.export; save the weights alone: {SAVE}")
    if "data.pkl" in inner:
        return ARCHIVE
    listed = ", ".join(names[:3]) or "nothing"
    raise InputError(f"{path}: is a zip archive of {listed} ({size:,} bytes); unpack it first")


def broken(path: Path, reason: str) -> InputError:
    """The error for a file that stops early or holds something else."""
    first = (reason.splitlines() or ["unknown"])[0].rstrip(". ")[:120]
    return InputError(
        f"{path} ({path.stat().st_size:,} bytes): cannot be read as a checkpoint ({first});"
        " it may be truncated or another kind of file: copy it again"
    )
