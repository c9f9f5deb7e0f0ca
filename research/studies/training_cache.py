"""A cache of trainings on real events, shared by rows and studies."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farzi.recipe import Recipe
from farzi.tensorfile import read_tensors, write_tensors
from farzi.training import Trained, make_model

FORMAT = "farzi-training-2"


@dataclass(frozen=True)
class TrainingCache:
    """Trainings on real events, one file each. A row that was stopped resumes at its next training.

    Attributes:
        folder: where the files are.
    """

    folder: Path

    def __call__(self, key: Mapping[str, Any], train: Callable[[], Trained]) -> Trained:
        """The training that `key` determines: read from its file, or done and written.

        Raises:
            FarziError: its file is damaged.
            OSError: it cannot be written.
        """
        words = json.dumps(key, sort_keys=True)
        path = self.folder / f"real-{hashlib.sha256(words.encode()).hexdigest()[:16]}.safetensors"
        if path.exists():
            tensors, facts = read_tensors(path, FORMAT, "delete it to train again")
            settings = Recipe.model_validate({"student": key["student"]}).student
            vocabulary = len(tensors["embedding"])
            student = make_model(settings, vocabulary, key["length"], key["seed"], key["device"])
            student.load_state_dict(tensors)
            return Trained(student, float(facts["seconds"]), int(facts["steps"]))
        trained = train()
        facts = {"seconds": repr(trained.seconds), "steps": str(trained.steps)}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tensors(path, FORMAT, trained.model.state_dict(), facts)
        return trained
