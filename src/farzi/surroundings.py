"""The same digits whatever a user's program has set around a call: types, devices, modes, other threads."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def undisturbed(*, training: bool = True) -> Iterator[None]:
    """A context, or a decorator, in which PyTorch's settings are its own, and restored at the end.

    Gradients are recorded, and automatic casting, a default device and numpy's raising of floating-point
    errors are off. These belong to the thread. A training also needs the default type float32 and PyTorch's
    global generator, which belong to the process: trainings in several threads wait for each other.
    """
    with ExitStack() as entered:
        if training:
            entered.enter_context(_ONE_AT_A_TIME)
            entered.enter_context(torch.random.fork_rng([]))
            entered.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        entered.enter_context(torch.inference_mode(False))
        entered.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                entered.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            entered.enter_context(torch.device("cpu"))
        entered.enter_context(np.errstate(all="warn", under="ignore"))
        yield
