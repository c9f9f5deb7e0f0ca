"""Students trained on real events that are kept, so that a training is done once: see `Trainings`."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farzi.recipe import StudentSettings
from farzi.tensorfile import read_tensors, write_tensors
from farzi.training import Trained, make_model

FORMAT = "farzi-training-1"


@dataclass(frozen=True)
class Trainings:
    """Trainings on real events, a file each: rows and studies share them, and a stopped row goes on.

    Attributes:
        folder: where they are kept.
    """

    folder: Path

    def __call__(self, told: Mapping[str, Any], train: Callable[[], Trained]) -> Trained:
        """The training of which `told` is all that it depends on: read, or done and written.

        Raises:
            FarziError: its file is damaged.
            OSError: it cannot be written.
        """
        words = json.dumps(told, sort_keys=True)
        path = self.folder / f"real-{hashlib.sha256(words.encode()).hexdigest()[:16]}.safetensors"
        if path.exists():
            tensors, kept = read_tensors(path, FORMAT, "delete it, and it is trained again")
            settings = StudentSettings.model_validate(told["student"])
            vocabulary = len(tensors["embedding"])
            student = make_model(settings, vocabulary, told["length"], told["seed"], told["device"])
            student.load_state_dict(tensors)
            return Trained(student, float(kept["seconds"]), int(kept["steps"]))
        found = train()
        kept = {"seconds": repr(found.seconds), "steps": str(found.steps)}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tensors(path, FORMAT, found.student.state_dict(), kept)
        return found
