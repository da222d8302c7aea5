"""Keep a record of each run on disk: trained once under its key, stored whole or not at all."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
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
        """Return logits float32 [n, classes] and labels int64 [n] of the test images."""
        with np.load(record_path(self.key) / "test.npz") as arrays:
            return arrays["logits"], arrays["labels"]

    def val_correct(self) -> np.ndarray:
        """Return which validation images were right at each validation: bool [validations, n]."""
        return np.load(record_path(self.key) / "val.npy")


def record_path(run_key: str) -> Path:
    """Return the folder of a record."""
    return home() / "records" / run_key


def weights_path(run_key: str) -> Path:
    """Return the file with the weights of a run that others start from."""
    return home() / "records" / f"{run_key}.safetensors"


def read(run_key: str, with_weights: bool = False) -> Record | None:
    """Return the record of a key; None if it is missing, or its weights are needed and missing."""
    if with_weights and not weights_path(run_key).exists():
        return None
    return _read(run_key) if record_path(run_key).exists() else None


def _read(run_key: str) -> Record:
    return Record(run_key, **json.loads((record_path(run_key) / "record.json").read_text()))


def complete(run: Run, keep_weights: bool = False, timeout: float = -1) -> Record:
    """Return the record of `run`, and train it now unless it is stored.

    Wait while another process trains the same run. Raises `filelock.Timeout` when it still does
    after `timeout` seconds (−1: wait for ever).
    """
    run_key = key(run)
    record_path(run_key).parent.mkdir(parents=True, exist_ok=True)
    # The system frees the lock when its holder dies, so a killed process blocks nobody.
    with FileLock(f"{record_path(run_key)}.lock", timeout=timeout):
        if read(run_key, keep_weights) is None:
            task = load(run)
            trained = execute(run, task, initial_weights(run))
            write(run_key, run, task.classes, trained, keep_weights)
    return _read(run_key)


def initial_weights(run: Run) -> dict[str, torch.Tensor] | None:
    """Return the state tensors that `run.init` stands for; None for "random". Train an init run."""
    if run.init == "random":
        return None
    if isinstance(run.init, Run):
        return load_file(weights_path(complete(run.init, keep_weights=True).key))
    return read_weights(run.init, run.model)


def write(
    run_key: str, run: Run, classes: tuple[str, ...], trained: Trained, keep_weights: bool = False
) -> None:
    """Write what a run leaves behind. A record that is there stays as it is."""
    if keep_weights:
        with whole(weights_path(run_key)) as partial:
            save_file(trained.weights, partial)
    if record_path(run_key).exists():
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
    with whole(record_path(run_key)) as partial:
        partial.mkdir()
        np.savez(partial / "test.npz", logits=trained.test_logits, labels=trained.test_labels)
        np.save(partial / "val.npy", trained.val_correct)
        (partial / "record.json").write_text(json.dumps(content, indent=1))
