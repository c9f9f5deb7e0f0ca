"""Whether this process is one of several that `torchrun`, Ray or Slurm started; PyTorch is not imported."""

import os

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What PyTorch's launchers leave in the environment."""


def started() -> tuple[int, int]:
    """The number of this process and how many there are; 0 and 1 without a launcher."""
    if all(name in os.environ for name in VARIABLES):
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


def leave() -> None:
    """From now on this process works alone, and so do those that it starts."""
    for name in VARIABLES:
        os.environ.pop(name, None)
