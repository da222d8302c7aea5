"""What several test files share. (pytest has two modules named conftest here: import from this.)"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tlkit.experiments.records import write
from tlkit.images.tasks import Split, Task
from tlkit.recipe import Run
from tlkit.training.loop import Trained

BASE = Run(
    task="tiny",
    model="test_resnet",
    init="random",
    size=32,
    epochs=3,
    batch_size=8,
    lr=0.05,
    seed=1,
)
ROWS = {"train": 30, "val": 12, "test": 21}


def tiny_task(rows: dict[str, int] = ROWS, classes: int = 3) -> Task:
    """Return noise whose mean colour tells the class, most of the time."""
    generator = np.random.default_rng(0)
    total = sum(rows.values())
    labels = generator.integers(classes, size=total)
    pool = generator.integers(120, size=(total, 3, 32, 32))
    pool[np.arange(total), labels] += 90
    places, splits = np.arange(total), {}
    for name, n in rows.items():
        mine, places = places[:n], places[n:]
        splits[name] = Split(pool.astype(np.uint8), mine, torch.from_numpy(labels[mine]))
    return Task("tiny", tuple("abc"[:classes]), **splits)


def paint(folder: Path, classes: tuple[str, ...] = ("ant", "bee", "cat"), seed: int = 0) -> Path:
    """Fill a folder with twelve images of noise for each class."""
    random = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(12):
            noise = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name / f"{number:02}.png")
    return folder


def write_record(
    run_key: str,
    logits: torch.Tensor,
    labels: torch.Tensor,
    seed: int = 0,
    val_accuracy: float = 0.5,
) -> None:
    """Write the record of a run that was never trained, with these test outputs."""
    history = [{"epoch": 1, "train_loss": 1.0, "val_accuracy": val_accuracy}]
    trained = Trained(history, labels > 0, logits, labels, {}, 1, 1, 0.1)
    write(run_key, Run(seed=seed), tuple("abcd"[: logits.shape[1]]), trained)
