"""Pickled checkpoints, read without running what is pickled in them.

Files of PyTorch are read with `weights_only=True`, other pickles by an unpickler that finds only
what stands here. What training codes store beside the weights (logs, numbers, arguments) is named
in `STAND_INS`: an object of these names becomes an empty stand-in, and no code of theirs is
imported or called. An array of NumPy becomes a tensor. Any other object is refused.
"""

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pixelwise.errors import InputError
from pixelwise.interop.kinds import ARCHIVE, SAVE, broken

TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""What follows the protocol in a file that torch wrote before it wrote archives."""


class Inert:
    """Stands in for an object that a file names and nobody here needs."""

    def __new__(cls, *_: object, **__: object) -> "Inert":
        """Whatever it is made from."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class Plain(Inert):
    """Stands in for mappings with a default: what is put into them is kept."""

    def __new__(cls, *_: object) -> Any:
        """A mapping."""
        return {}


class Sequence(Inert):
    """Stands in for queues."""

    def __new__(cls, items: object = (), *_: object) -> Any:
        """A list."""
        return list(items) if isinstance(items, list | tuple) else []


class Type(Inert):
    """Stands in for NumPy's types."""

    def __init__(self, name: object = "", *_: object) -> None:
        self.name = name if isinstance(name, str) else ""
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        """The order of bytes."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]

    def found(self) -> np.dtype[Any] | None:
        """The type, where it is one of numbers."""
        if re.fullmatch(r"[fiub][1248]", self.name):
            return np.dtype(self.order + self.name)
        return None


class Array(Inert):
    """Stands in for NumPy's arrays, until what is in them is asked for."""

    def __init__(self, *_: object) -> None:
        self.parts: tuple[Any, ...] = ()

    def __setstate__(self, state: object) -> None:
        """Version, shape, type, whether columns come first, bytes."""
        if isinstance(state, tuple) and len(state) == 5:
            self.parts = state[1:]

    def tensor(self) -> torch.Tensor | None:
        """The numbers, where they are numbers and as many as the shape says."""
        if len(self.parts) != 4 or not isinstance(self.parts[1], Type):
            return None
        shape, kind, columns, content = self.parts
        found = kind.found()
        if isinstance(content, str):  # bytes of Python 2
            content = content.encode("latin1")
        if found is None or not isinstance(content, bytes | bytearray):
            return None
        values = np.frombuffer(bytes(content), found).reshape(shape, order="F" if columns else "C")
        return torch.from_numpy(values.astype(found.newbyteorder("=")))


class Buffer(Array):
    """Stands in for the arrays of pickle's protocol 5."""

    def __init__(self, *given: object) -> None:
        self.parts = ()
        if len(given) == 4:
            content, kind, shape, order = given
            self.parts = (shape, kind, order == "F", content)


class Encoded(Inert):
    """Stands in for the encoder by which Python 3 writes bytes for Python 2."""

    def __new__(cls, text: object = "", *_: object) -> Any:
        """The bytes."""
        return text.encode("latin1") if isinstance(text, str) else b""


NUMPY = ("numpy", "numpy.core", "numpy._core")
STAND_INS: Mapping[str, type] = {
    "mmengine.logging.history_buffer.HistoryBuffer": Inert,
    "mmengine.config.config.Config": Inert,
    "mmengine.config.config.ConfigDict": Plain,
    "argparse.Namespace": Inert,
    "types.SimpleNamespace": Inert,
    "pathlib.PosixPath": Inert,
    "pathlib.WindowsPath": Inert,
    "pathlib.PurePosixPath": Inert,
    "pathlib._local.PosixPath": Inert,
    "pathlib._local.WindowsPath": Inert,
    "datetime.datetime": Inert,
    "datetime.date": Inert,
    "datetime.timedelta": Inert,
    "datetime.timezone": Inert,
    "uuid.UUID": Inert,
    "decimal.Decimal": Inert,
    "fractions.Fraction": Inert,
    "builtins.slice": Inert,
    "builtins.range": Inert,
    "builtins.list": Inert,
    "builtins.dict": Inert,
    "builtins.tuple": Inert,
    "builtins.int": Inert,
    "builtins.float": Inert,
    "builtins.str": Inert,
    "builtins.bool": Inert,
    "builtins.frozenset": Inert,
    "__builtin__.list": Inert,
    "__builtin__.dict": Inert,
    "builtins.bytes": Encoded,
    "__builtin__.bytes": Encoded,
    "collections.defaultdict": Plain,
    "collections.deque": Sequence,
    "omegaconf.dictconfig.DictConfig": Inert,
    "omegaconf.listconfig.ListConfig": Inert,
    "easydict.EasyDict": Plain,
    "yacs.config.CfgNode": Plain,
    "numpy.dtype": Type,
    "numpy.ndarray": Array,
    "numpy.random._pickle.__randomstate_ctor": Inert,
    "numpy.random._pickle.__generator_ctor": Inert,
    **{f"{place}.multiarray.scalar": Inert for place in NUMPY},
    **{f"{place}.multiarray._reconstruct": Array for place in NUMPY},
    **{f"{place}.numeric._frombuffer": Buffer for place in NUMPY},
}
"""Names of objects that are passed over or turned into tensors."""

ERRORS = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    TypeError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
    zipfile.BadZipFile,
)
"""What unpicklers raise on bytes that are no checkpoint, by where they stop."""


class Unpickler(pickle.Unpickler):
    """Finds stand-ins, and mappings in order."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of that name."""
        whole = f"{module}.{name}"
        if whole == "collections.OrderedDict":
            return Plain
        if whole == "_codecs.encode":
            return Encoded
        if whole not in STAND_INS:
            raise pickle.UnpicklingError(f"global {whole} was not allowed")
        return STAND_INS[whole]


def read(path: Path, kind: str) -> Any:
    """What is pickled in a file.

    Raises:
        InputError: The file is broken, or names an object that is not known.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file
            if kind != ARCHIVE and not _of_torch(path):
                with path.open("rb") as file:
                    return Unpickler(file, encoding="latin1").load()
            allowed: list[Any] = [(stand_in, name) for name, stand_in in STAND_INS.items()]
            with torch.serialization.safe_globals(allowed), path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = str(error)
        named = re.search(r"(?:GLOBAL|[Gg]lobal) ([\w.]+) (?:was not|whose)", text)
        if named is not None:
            raise InputError(
                f"{path}: holds an object of {named[1]!r}, which could run code when it is"
                " opened, and was not opened; if you trust the file, open it where it was"
                f" written and save its weights alone: {SAVE}"
            ) from error
        if "Unsupported operand" in text and kind == ARCHIVE:
            raise InputError(
                f"{path}: is pickled in a way that cannot be read safely; open it where it was"
                f" written and save its weights alone, with pickle_protocol=2: {SAVE}"
            ) from error
        raise broken(path, "no checkpoint of PyTorch") from error
    except ERRORS as error:
        raise broken(path, str(error) or type(error).__name__) from error


def _of_torch(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2 + len(TORCH_MAGIC))[2:] == TORCH_MAGIC
