"""Keep a record of each run on disk: trained once under its key, stored whole or not at all.

A record or weights that are damaged count as missing: they are set aside, and trained again.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save

from tlkit.experiments.keys import key
from tlkit.ground.machine import environment
from tlkit.ground.paths import home, locked, set_aside, whole
from tlkit.images.tasks import load
from tlkit.networks.models import read_weights
from tlkit.recipe import Run
from tlkit.training.loop import Trained, accuracy, execute

LAYOUT = 2  # of the files of a record; 1 had no digests
DAMAGE = (  # what a record that is cut, changed or of another kind may raise; not "access denied"
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError),
    *(ValueError, TypeError, LookupError, AttributeError),
)


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
    diverged: bool = False  # its loss or weights were not finite: its accuracies mean nothing

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
    """Return the record of a key; None if it is missing, or its weights are needed and missing.

    A damaged record is set aside with a warning, and is missing from then on. Reading takes no
    lock and writes nothing, so that a store may be read-only.
    """
    if with_weights and not weights_path(run_key).exists():
        return None
    place = record_path(run_key)
    try:
        return _read(run_key)
    except DAMAGE as problem:
        if place.exists():
            set_aside(place, problem)
        return None


def _read(run_key: str) -> Record:
    place = record_path(run_key)
    content = json.loads((place / "record.json").read_text("utf-8"))
    if content.get("layout") != LAYOUT:
        raise ValueError(f"its layout is {content.get('layout')!r}, not {LAYOUT}")
    if content.pop("digest") != _digest_of(content):
        raise ValueError("record.json is not what was written")
    for name, digest in content.pop("files").items():
        state = (place / name).stat()
        if _file_digest(place / name, state.st_mtime_ns, state.st_size) != digest:
            raise ValueError(f"{name} is not what was written")
    del content["layout"]
    return Record(run_key, **content)


def _digest_of(content: dict) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@lru_cache(10_000)  # a notebook reads its records again and again
def _file_digest(path: Path, mtime_ns: int, size: int) -> str:
    return sha256(path.read_bytes()).hexdigest()


def complete(run: Run, keep_weights: bool = False, timeout: float = -1) -> Record:
    """Return the record of `run`, and train it now unless it is stored.

    Wait while another process trains the same run. Raises `filelock.Timeout` when it still does
    after `timeout` seconds (−1: wait for ever).
    """
    run_key = key(run)
    record = read(run_key, keep_weights)
    if record is not None:
        return record
    with locked(record_path(run_key), timeout):
        if read(run_key, keep_weights) is None:  # nor has another process stored it meanwhile
            task = load(run)
            trained = execute(run, task, initial_weights(run))
            write(run_key, run, task.classes, trained, keep_weights)
        return _read(run_key)


def initial_weights(run: Run) -> dict[str, torch.Tensor] | None:
    """Return the state tensors that `run.init` stands for; None for "random". Train an init run."""
    if run.init == "random":
        return None
    if not isinstance(run.init, Run):
        return read_weights(run.init, run.model)
    path = weights_path(complete(run.init, keep_weights=True).key)
    try:
        return _intact_weights(path)
    except (*DAMAGE, SafetensorError) as problem:
        set_aside(path, problem)
    return _intact_weights(weights_path(complete(run.init, keep_weights=True).key))


def _intact_weights(path: Path) -> dict[str, torch.Tensor]:
    data = path.read_bytes()  # no memory map: the file may change, or be cut, afterwards
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    weights = from_bytes(data)
    if header["__metadata__"]["digest"] != _weights_digest(weights):
        raise ValueError("the weights are not what was written")
    return weights


def _weights_digest(weights: dict[str, torch.Tensor]) -> str:
    digest = sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def write(
    run_key: str, run: Run, classes: tuple[str, ...], trained: Trained, keep_weights: bool = False
) -> None:
    """Write what a run leaves behind. A record that is there stays as it is."""
    if keep_weights:
        about = {"digest": _weights_digest(trained.weights)}
        with whole(weights_path(run_key)) as partial:
            partial.write_bytes(save(trained.weights, about))
    if record_path(run_key).exists():
        return
    logits, labels = trained.test_logits, trained.test_labels
    files = {
        "test.npz": _packed(np.savez, logits=logits, labels=labels),
        "val.npy": _packed(np.save, arr=trained.val_correct),
    }
    content = {
        "layout": LAYOUT,
        "recipe": asdict(run),
        "history": trained.history,
        "accuracy": accuracy(logits, labels),
        "val_accuracy": trained.history[-1]["val_accuracy"],
        "parameters": trained.parameters,
        "trainable": trained.trainable,
        "seconds": round(trained.seconds, 3),
        "classes": list(classes),
        "environment": environment(),
        "diverged": bool(getattr(trained, "diverged", False)),
        "files": {name: sha256(data).hexdigest() for name, data in files.items()},
    }
    text = json.dumps(content | {"digest": _digest_of(content)}, indent=1)
    with whole(record_path(run_key)) as partial:
        partial.mkdir()
        for name, data in files.items():
            (partial / name).write_bytes(data)
        (partial / "record.json").write_text(text, "utf-8")


def _packed(save_arrays: Callable, **arrays: object) -> bytes:
    """Return the bytes of a file of NumPy: written at once, a full disk gives a clear error."""
    file = io.BytesIO()
    save_arrays(file, **arrays)
    return file.getvalue()
