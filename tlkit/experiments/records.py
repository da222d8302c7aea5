"""Records of runs on disk: keyed by all that decides a result, trained once, never half-written."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file

from tlkit.experiments.keys import key
from tlkit.ground.machine import environment
from tlkit.ground.paths import home, whole
from tlkit.images.tasks import load
from tlkit.networks.models import read_weights
from tlkit.recipe import Run
from tlkit.training.loop import Trained, accuracy, execute


@dataclass(frozen=True)
class Record:
    """One finished run, read from its folder."""

    key: str
    recipe: dict
    history: list[dict]
    accuracy: float  # on the test images, 0 … 1
    val_accuracy: float  # after the last epoch, 0 … 1
    parameters: int
    trainable: int
    seconds: float
    classes: list[str]
    environment: dict

    def test_outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits float32 [n, classes] and labels int64 [n] of the test images."""
        with np.load(_folder(self.key) / "test.npz") as stored:
            return stored["logits"], stored["labels"]

    def val_correct(self) -> np.ndarray:
        """Which validation images were right at each validation: bool [validations, n]."""
        return np.load(_folder(self.key) / "val.npy")


def _folder(run_key: str) -> Path:
    return home() / "records" / run_key


def read(run_key: str, with_weights: bool = False) -> Record | None:
    """The record of that key, or None where it, or its weights if they are needed, is missing."""
    path = _folder(run_key) / "record.json"
    if not path.exists() or with_weights and not weights_path(run_key).exists():
        return None
    return Record(run_key, **json.loads(path.read_text()))


def complete(run: Run, keep_weights: bool = False, wait: bool = True) -> Record | None:
    """The record of `run`, trained now unless it is there.

    While another process trains the same run, waits for it, or returns None when not to `wait`.
    """
    run_key = key(run)
    _folder(run_key).parent.mkdir(parents=True, exist_ok=True)
    try:
        # The system frees the lock when its holder dies, so a killed process blocks nobody.
        with FileLock(f"{_folder(run_key)}.lock", timeout=-1 if wait else 0):
            if read(run_key, keep_weights) is None:
                task = load(run)
                _write(run_key, run, task.classes, execute(run, task, initial_weights(run)),
                       keep_weights)
    except Timeout:
        return None
    return read(run_key)


def initial_weights(run: Run) -> dict[str, torch.Tensor] | None:
    """The state tensors that `run.init` stands for; None for "random". Trains an init run."""
    if run.init == "random":
        return None
    if isinstance(run.init, Run):
        source = complete(run.init, keep_weights=True)
        return load_file(weights_path(source.key))
    return read_weights(run.init, run.model)


def weights_path(run_key: str) -> Path:
    """Where the weights of a run that others start from are kept."""
    return home() / "records" / f"{run_key}.safetensors"


def _write(
    run_key: str, run: Run, classes: tuple[str, ...], trained: Trained, keep_weights: bool
) -> None:
    if keep_weights:
        partial = weights_path(run_key).with_suffix(f".partial-{os.getpid()}")
        try:
            save_file(trained.weights, partial)
            partial.replace(weights_path(run_key))
        finally:
            partial.unlink(missing_ok=True)
    if _folder(run_key).exists():
        return
    content = {
        "recipe": asdict(run),
        "history": trained.history,
        "accuracy": accuracy(trained.test_logits, trained.test_labels),
        "val_accuracy": trained.history[-1]["val_accuracy"],
        "parameters": trained.parameters,
        "trainable": trained.trainable,
        "seconds": round(trained.seconds, 3),
        "classes": list(classes),
        "environment": environment(),
    }
    with whole(_folder(run_key)) as partial:
        np.savez(partial / "test.npz", logits=trained.test_logits, labels=trained.test_labels)
        np.save(partial / "val.npy", trained.val_correct)
        (partial / "record.json").write_text(json.dumps(content, indent=1))
