"""The processes of a run: they agree at every step, end together, and the first alone talks.

Whatever they agree on goes through `tick`, so that an error of one of them meets the others at
their next tick, wherever that is, and none waits for what does not come.
"""

import contextlib
import datetime
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments import SLURMEnvironment
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from pixelwise.errors import InputError
from pixelwise.train.interrupt import Interrupted, Stopped
from pixelwise.train.started import Start, how_started

T = TypeVar("T")
NUMBERS = 3
"""So many numbers a tick can carry."""
MEETING = datetime.timedelta(minutes=5)
"""The others have to be there after so long."""
LAST_WORD = datetime.timedelta(seconds=20)
"""So long an error waits for the others to hear of it."""
TOLD = "pixelwise/told"
LOST = ("peer", "connection", "gloo", "nccl", "socket", "store", "timed out", "recv", "broken pipe")
"""Words of errors that come where another process is gone."""


class Processes:
    """All processes of a run, as one of them sees them.

    Args:
        start: The place of this one.
    """

    def __init__(self, start: Start) -> None:
        self.start = start
        self.rank, self.count = start.rank, start.count
        self._stderr = sys.stderr
        self._over = False
        self._group: Any = None
        self._store: Any = None
        if self.count > 1:
            self._meet()

    @property
    def leads(self) -> bool:
        """Whether this is the first one, which writes and talks."""
        return self.rank == 0

    def share(self, items: list[T]) -> list[T]:
        """The part of a batch that this process takes: as many in a row as the others, or one."""
        n = len(items)
        return items[self.rank * n // self.count : (self.rank + 1) * n // self.count]

    def tick(
        self, *numbers: float | int, error: BaseException | None = None
    ) -> tuple[float | int, ...]:
        """Meet the others; the largest of each number.

        Raises:
            Exception: In the first process, the error of the one that has one.
            _Elsewhere: In the others.
        """
        if self.count == 1:
            return numbers
        own = [float(error is not None), *numbers, *(0.0,) * (NUMBERS - len(numbers))]
        agreed = torch.tensor(own, dtype=torch.float64)
        work = dist.all_reduce(agreed, dist.ReduceOp.MAX, group=self._group, async_op=True)
        assert work is not None
        work.wait(*(() if error is None else (LAST_WORD,)))
        if agreed[0]:
            self._end(error)
        return tuple(agreed[1 : 1 + len(numbers)].tolist())

    def first(self, do: Callable[[], T]) -> T:
        """What the first process finds, told to all; the others wait."""
        found: list[Any] = [do() if self.leads else None]
        self.tick()
        if self.count > 1:
            dist.broadcast_object_list(found, 0, group=self._group)
        answer: T = found[0]
        return answer

    def all(self, own: T) -> list[T]:
        """What each process has, in their order."""
        if self.count == 1:
            return [own]
        self.tick()
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, own, group=self._group)
        return found

    def level(self, tensors: list[Tensor]) -> None:
        """Give all processes the first one's values."""
        if self.count == 1:
            return
        for dtype in dict.fromkeys(one.dtype for one in tensors):
            alike = [one for one in tensors if one.dtype == dtype]
            flat = torch.cat([one.flatten() for one in alike])
            dist.broadcast(flat, 0)
            parts = torch.split(flat, [one.numel() for one in alike])
            for one, part in zip(alike, parts, strict=True):
                one.copy_(part.view_as(one))

    def part(self) -> None:
        """The end of a run; after an error the others do not come any more."""
        if not self._over:
            self.tick()
            dist.destroy_process_group()

    def _meet(self) -> None:
        if self.start.slurm:
            found = SLURMEnvironment()
            os.environ["MASTER_ADDR"] = found.main_address
            os.environ["MASTER_PORT"] = str(found.main_port)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if torch.cuda.is_available() and self.start.local_rank < torch.cuda.device_count():
            torch.cuda.set_device(self.start.local_rank)
        try:
            store, _, _ = next(rendezvous("env://", self.rank, self.count, timeout=MEETING))
            store.set_timeout(MEETING)
            self._store = PrefixStore("pixelwise", store)
            dist.init_process_group(
                backend, store=self._store, rank=self.rank, world_size=self.count
            )
            self._group = dist.new_group(backend="gloo")
        except (dist.DistError, RuntimeError, ValueError) as error:
            raise InputError(
                f"WORLD_SIZE={self.count}: the processes did not meet at"
                f" {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
                f" ({' '.join(str(error).split())[:120]}); start all of them with torchrun or"
                " srun, or remove these variables"
            ) from error

    def _end(self, error: BaseException | None) -> NoReturn:
        own = None if error is None else (_kind(error), str(error), _code(error))
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, own, group=self._group)
        number, (kind, text, code) = next((i, one) for i, one in enumerate(found) if one)
        if not self.leads:
            raise _Elsewhere(code)
        if error is not None:
            error.told = True  # type: ignore[attr-defined]
            raise error
        where = f" (process {number} of {self.count})"
        kinds: dict[str, type[Exception]] = {"InputError": InputError, "Stopped": Stopped}
        heard = kinds.get(kind, RuntimeError)(text + where)
        heard.told = True  # type: ignore[attr-defined]
        raise heard

    def ended(self, error: Exception) -> NoReturn:
        """Tell the others of an error, and see to it that one process tells the user."""
        self._over = True
        if isinstance(error, _Elsewhere):
            raise SystemExit(error.code)
        if isinstance(error, Interrupted) and not self.leads:
            raise SystemExit(error.exit_code)
        if isinstance(error, Interrupted) or hasattr(error, "told"):
            raise error
        lost = isinstance(error, RuntimeError) and any(w in str(error).lower() for w in LOST)
        if not lost:
            try:
                self.tick(error=error)
            except _Elsewhere as elsewhere:
                raise SystemExit(elsewhere.code) from error
            except RuntimeError as other:
                if hasattr(other, "told"):
                    raise
        self._tell(error, lost=lost)

    def _tell(self, error: Exception, *, lost: bool) -> NoReturn:
        """The line of a process that the others do not hear."""
        line = " ".join(str(error).split())
        if lost:
            line = (
                "a process of the run died, so all others end; go on from the last checkpoint with"
                " --resume"
            )
        try:
            mine = self._store.compare_set(TOLD, "", str(self.rank)) == str(self.rank).encode()
        except RuntimeError:  # who kept the store is gone
            mine = True
        if mine:
            print(f"error: {line}", file=self._stderr, flush=True)
        os._exit(_code(error))  # nothing waits for what will not come


ALONE = Processes(Start())
_current = ALONE


class _Elsewhere(Exception):
    """Another process tells the user why the run ends."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def current() -> Processes:
    """The processes that this one belongs to."""
    return _current


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Meet the processes that were started with this one, and end with them.

    All but the first are silent inside.

    Raises:
        InputError: They cannot meet.
    """
    global _current
    if _current is not ALONE:
        with _ending_together(_current):
            yield _current
        return
    if (start := how_started()).count == 1:
        yield ALONE
        return
    _current = Processes(start)
    with contextlib.ExitStack() as stack:
        if not _current.leads:
            nobody = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nobody))
            stack.enter_context(contextlib.redirect_stderr(nobody))
        try:
            with _ending_together(_current):
                yield _current
                _current.part()
        finally:
            _current = ALONE


@contextlib.contextmanager
def _ending_together(processes: Processes) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if processes.leads:
            raise
        raise SystemExit(130) from None
    except Exception as error:
        processes.ended(error)


def _kind(error: BaseException) -> str:
    return next((k.__name__ for k in (InputError, Stopped) if isinstance(error, k)), "")


def _code(error: BaseException) -> int:
    return 2 if isinstance(error, InputError | OSError) else 1
