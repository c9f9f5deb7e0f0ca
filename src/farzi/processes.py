"""Several processes at work on one run, as `torchrun` starts them: who does what, and how results travel.

Work is a list of items. `Processes.map` computes item i in process i % size, and gives every process the
results in the order of the items, so that what follows is the same in all of them and in a single process.
Random draws depend on the recipe and the item, never on the process.

Nobody waits for a process that has ended. While one waits for the others it looks, once in `BEAT` seconds,
for the line that a failing process leaves, and whether the others still count up their heartbeats. PyTorch's
collective operations begin when all have arrived, so that their own time-outs bound the transfer alone:
between two of them a process may train for hours.
"""

import atexit
import io
import math
import os
import pickle
import secrets
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.distributed_c10d as c10d
from torch import Tensor

from farzi.errors import FarziError
from farzi.launch import started

T = TypeVar("T")
R = TypeVar("R")

TIMEOUT = float(os.environ.get("FARZI_TIMEOUT", 120.0))
"""Seconds without a heartbeat after which a process counts as dead; `FARZI_TIMEOUT` in the environment."""
JOINING = 600.0
"""Seconds in which all processes must have called the same function."""
BEAT, HURRY, FAREWELL = 1.0, 5.0, 10.0
"""Seconds between two heartbeats; the time-out once this process was asked to stop; and how long a failing
process stays, so that the first one can print why before `torchrun` ends it."""


@dataclass(frozen=True)
class Processes:
    """The processes that work together; one without `torchrun`."""

    rank: int = 0
    size: int = 1
    link: "Link | None" = None

    @property
    def first(self) -> bool:
        """Whether this is the one that prints and writes files."""
        return self.rank == 0

    def own(self, count: int) -> range:
        """Those of `count` items that this process computes."""
        return range(self.rank, count, self.size)

    def map(self, function: Callable[[T], R], items: Sequence[T], everywhere: bool = True) -> list[R]:
        """`[function(item) for item in items]`, item i computed in process i % size.

        Args:
            function: gives tensors, numbers and what can be pickled.
            items: the same ones, in the same order, in all processes.
            everywhere: whether all processes get all results. If not, the first one does, and the others
                have what they computed, and None.

        Raises:
            FarziError: a process has ended or does not answer.
            Exception: what `function` raised in one of the processes, in all of them.
        """
        if self.link is None:
            return [function(item) for item in items]
        mine: dict[int, Any] = {}
        failed: Exception | None = None
        try:
            for k in self.own(len(items)):
                mine[k] = function(items[k])
        except Exception as error:
            mine, failed = {}, error
        return self.link.exchange(mine, failed, len(items), everywhere)

    def once(self, function: Callable[[], R]) -> R:
        """What `function` gives in the first process, in all of them."""
        return self.map(lambda _: function(), [None])[0]

    def gather(self, value: T) -> list[T]:
        """The value of each process."""
        return self.map(lambda _: value, range(self.size))

    def device(self, device: torch.device | str) -> torch.device:
        """Where this process computes: "cuda" is a card of its own, as far as there are enough."""
        device = torch.device(device)
        if self.link is not None and device.type == "cuda":
            if device.index is None:
                device = torch.device("cuda", self.link.local % max(1, torch.cuda.device_count()))
            else:
                self.link.cards = False  # NCCL needs a card for each process
            torch.cuda.set_device(device)
        return device

    def hurry(self) -> None:
        """Note that this process must stop soon: others now count as dead after `HURRY` seconds."""
        if self.link is not None:
            self.link.patience = min(self.link.patience, HURRY)


ALONE = Processes()
_CURRENT: ContextVar[Processes] = ContextVar("processes", default=ALONE)


def current() -> Processes:
    """The processes that work together in this block; one outside of `joined`."""
    return _CURRENT.get()


@contextmanager
def joined() -> Iterator[Processes]:
    """A block, or a function, that all processes enter and in which they share the work.

    Threads are divided among those on the same processors, unless `OMP_NUM_THREADS` is set. Without
    `torchrun`, or inside another such block, nothing changes.

    Raises:
        FarziError: the others do not come, or one of them fails.
    """
    rank, size = (dist.get_rank(), dist.get_world_size()) if _initialized() else started()
    if size == 1 or current().size > 1:
        yield current()
        return
    link, threads = Link(rank, size), torch.get_num_threads()
    token = _CURRENT.set(Processes(rank, size, link))
    try:
        if not _threads_given():
            torch.set_num_threads(link.threads)
        yield current()
        link.arrive()  # nobody leaves while another one reads
        link.leave()
    except BaseException as error:
        link.fail(error)
        link.rest()
        raise
    finally:
        _CURRENT.reset(token)
        torch.set_num_threads(threads)


class Link:
    """The connection of a process with the others.

    Attributes:
        local: how many processes before this one are on the same machine.
        threads: processors of this process, divided by the processes that share them.
        cards: whether each process has a card of its own, so that NCCL can be used.
        patience: seconds without a heartbeat after which a process is dead.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size, self.patience = rank, size, TIMEOUT
        self._round, self._over = 0, threading.Event()
        self._cuda: Any = None
        self._began = not _initialized()
        try:
            if self._began:
                dist.init_process_group("gloo", timeout=timedelta(seconds=JOINING))
            self._group: Any = dist.new_group(backend="gloo", timeout=timedelta(seconds=TIMEOUT))
            cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
            here = (socket.gethostname(), cores)
            there: list[Any] = [None] * size
            dist.all_gather_object(
                there, (here, torch.cuda.device_count(), secrets.token_hex(4)), self._group
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise FarziError(
                f"process {rank} of {size} cannot reach the others ({reason}); all of them must call the "
                f"same function within {JOINING:.0f} s"
            ) from error
        # names of this block alone: the store may outlive it; a public way to a store needs a port of its own
        self._store: Any = c10d.PrefixStore(there[0][2], c10d._get_default_store())
        hosts, sharing = [host for (host, _), *_ in there], [place for place, *_ in there].count(here)
        self.local = hosts[:rank].count(here[0])
        self.threads = max(1, (len(cores) if isinstance(cores, list) else cores or 1) // sharing)
        enough = all(hosts.count(host) <= cards for (host, _), cards, _ in there)
        self.cards = enough and dist.is_nccl_available()
        self._heart = threading.Thread(target=self._beat, args=(self._store.clone(),), daemon=True)
        self._heart.start()

    def exchange(
        self, mine: dict[int, Any], failed: Exception | None, count: int, everywhere: bool
    ) -> list[Any]:
        """See `Processes.map`: results by item, or the error in their place."""
        packed = {k: _packed(value) for k, value in mine.items()}
        own = {k: (words, [_form(one) for one in tensors]) for k, (words, tensors) in packed.items()}
        there: list[Any] = [None] * self.size
        results: list[Any] = [None] * count
        self.arrive()
        try:
            dist.all_gather_object(there, (failed and _carried(failed), own), self._group)
            if error := next((error for error, _ in there if error is not None), None):
                raise failed or error
            for k in range(count):
                source = k % self.size
                words, forms = there[source][1][k]
                if source == self.rank:
                    results[k] = mine[k]
                    for tensor in packed[k][1]:
                        self._move(tensor, _form(tensor), source, everywhere)
                elif everywhere or self.rank == 0:
                    tensors = [self._move(None, form, source, everywhere) for form in forms]
                    results[k] = _unpacked(words, tensors)
        except dist.DistBackendError as error:
            raise FarziError(self._lost(str(error).partition("\n")[0])) from error
        return results

    def arrive(self) -> None:
        """Wait until all processes are here.

        Raises:
            FarziError: one has failed, or does not answer.
        """
        self._round += 1
        name, seen = f"round {self._round}", dict[int, tuple[bytes, float]]()
        try:
            if self._store.add(name, 1) == self.size:
                self._store.set(f"{name} begins", "")
            self._await(f"{name} begins", lambda: self._look(seen))
            if self.rank == 0 and self._round > 1:  # which all have left
                for key in (f"round {self._round - 1}", f"round {self._round - 1} begins"):
                    self._store.delete_key(key)
        except dist.DistError as error:
            raise FarziError(self._lost(str(error).partition("\n")[0])) from error

    def fail(self, error: BaseException) -> None:
        """Tell the others why this process ends; stay until the first one has told the user."""
        if "TORCHELASTIC_RUN_ID" in os.environ and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):  # it ends all processes when one has ended
                signal.signal(number, signal.SIG_IGN)
        with suppress(dist.DistError, RuntimeError):
            if not isinstance(error, KeyboardInterrupt) and not self._store.check(["failed"]):
                own = str(error) if isinstance(error, FarziError | OSError) else None
                text = own or "".join(traceback.format_exception(error))
                self._store.set("failed", f"process {self.rank} of {self.size}: {text}")
            if self.rank == 0:
                atexit.register(self._store.set, "over", "")
            else:
                end = time.monotonic() + FAREWELL
                self._await("over", lambda: None, end)

    def leave(self) -> None:
        """End the connection, where it began here."""
        self.rest()
        if self._began:
            dist.destroy_process_group()

    def rest(self) -> None:
        """Stop the heartbeat. A thread that is sending at the end of Python would abort the process."""
        self._over.set()
        self._heart.join(HURRY)

    def _await(self, name: str, look: Callable[[], None], end: float = math.inf) -> None:
        """Wait for a name in the store; `look` is called every `BEAT` seconds."""
        begun = looked = now = time.monotonic()
        while now < end and not self._store.check([name]):  # `wait` would print a warning at each time-out
            time.sleep(min(0.05, 1e-4 + (now - begun) / 10))
            now = time.monotonic()
            if now - looked > BEAT:
                looked = now
                look()

    def _look(self, seen: dict[int, tuple[bytes, float]]) -> None:
        """Raise FarziError if a process has failed, or if its heartbeat stands still for too long."""
        if self._store.check(["failed"]):
            raise FarziError(self._store.get("failed").decode())
        now = time.monotonic()
        for rank in range(self.size):
            key = f"alive {rank}"
            count = self._store.get(key) if self._store.check([key]) else b""
            if rank not in seen or seen[rank][0] != count:
                seen[rank] = (count, now)
            elif rank != self.rank and now - seen[rank][1] > self.patience:
                raise FarziError(self._lost(f"process {rank} gave no sign for {self.patience:.0f} s"))

    def _lost(self, why: str) -> str:
        return (
            f"another of the {self.size} processes has ended or does not answer ({why}); the same command "
            "goes on from what is saved"
        )

    def _beat(self, store: c10d.Store) -> None:
        """Count up, as long as this process lives."""
        count = 0
        with suppress(dist.DistError, RuntimeError):
            while not self._over.wait(BEAT):
                count += 1
                store.set(f"alive {self.rank}", str(count))

    def _move(self, tensor: Tensor | None, form: "Form", source: int, everywhere: bool) -> Tensor:
        """Send a tensor, or receive one of this form: to all, or to the first process alone."""
        shape, stride, dtype, kind = form
        by_card = kind == "cuda" and self.cards
        if by_card and self._cuda is None:
            self._cuda = dist.new_group(backend="nccl", timeout=timedelta(seconds=TIMEOUT))
        group, where = (self._cuda, "cuda") if by_card else (self._group, "cpu")
        if tensor is None:
            size = shape.numel() * dtype.itemsize
            raw = torch.empty(size, dtype=torch.uint8, device=where)
        else:
            raw = tensor.to(where).contiguous().reshape(-1).view(torch.uint8)
        if raw.numel():
            if everywhere:
                dist.broadcast(raw, source, group)
            elif source != 0 and tensor is None:
                dist.recv(raw, source, group)
            elif source != 0:
                dist.send(raw, 0, group)
        if tensor is not None:
            return tensor
        # laid out as it was: products may round otherwise along another axis
        there = torch.empty_strided(shape, stride, dtype=dtype, device=kind)
        return there.copy_(raw.view(dtype).view(shape))


Form = tuple[torch.Size, tuple[int, ...], torch.dtype, str]
"""Shape, stride, type and kind of device of a tensor."""


def _form(tensor: Tensor) -> Form:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device.type


class _Pickler(pickle.Pickler):
    """Leaves plain tensors out, which travel by themselves."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.tensors: list[Tensor] = []

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) is not Tensor:
            return None
        self.tensors.append(obj.detach())
        return len(self.tensors) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, words: bytes, tensors: list[Tensor]) -> None:
        super().__init__(io.BytesIO(words))
        self.tensors = tensors

    def persistent_load(self, pid: int) -> Tensor:
        return self.tensors[pid]


def _packed(value: Any) -> tuple[bytes, list[Tensor]]:
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(value)
    return file.getvalue(), pickler.tensors


def _unpacked(words: bytes, tensors: list[Tensor]) -> Any:
    return _Unpickler(words, tensors).load()


def _carried(error: Exception) -> Exception:
    """A copy that can be sent, with where the error was raised."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a user's class raises there
        copy = RuntimeError(f"{type(error).__name__}: {error}")
    copy.add_note("".join(traceback.format_exception(error)))
    return copy


def _initialized() -> bool:
    return dist.is_available() and dist.is_initialized()


def _threads_given() -> bool:
    """Whether the user has set the number of threads; `torchrun` sets it to 1 where nobody has."""
    if "OMP_NUM_THREADS" not in os.environ:
        return False
    begun = Path(f"/proc/{os.getppid()}/environ")
    if "TORCHELASTIC_RUN_ID" not in os.environ or not begun.exists():
        return True
    return b"OMP_NUM_THREADS=" in begun.read_bytes()
