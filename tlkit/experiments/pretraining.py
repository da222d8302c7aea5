"""Train the weights of the small Xception again, as `tlkit pretrain` does."""

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tlkit import drawing
from tlkit.experiments.records import Record, weights_path
from tlkit.experiments.sweep import train
from tlkit.ground.progress import progress
from tlkit.networks.models import with_source_head
from tlkit.networks.small_xception import FISHER, SMALLER, WEIGHTS, weights_of
from tlkit.recipe import Run
from tlkit.training.augmentation import normalise
from tlkit.training.fisher import diagonal

RECIPE = Run(
    task="drawn_source",
    model="xception_small",
    init="random",
    train_per_class=None,
    val_per_class=10,
    augmentation="colour",
    epochs=16,
    batch_size=128,
    lr=0.2,
    weight_decay=1e-4,
    val_every=2,
)
FISHER_PER_CLASS = 2  # training pictures of each source class


def smaller(classes: int, images: int) -> Run:
    """Return the recipe with the first `classes` of the source and `images` of each.

    All smaller sources take as many steps, a quarter of the full recipe's: with fewer pictures the
    network sees each more often.
    """
    names = ",".join(drawing.WORLDS[RECIPE.task][:classes])
    epochs = round(RECIPE.epochs * 50 * 390 / (classes * images))
    return replace(
        RECIPE,
        task=f"{RECIPE.task}[{names}]" if classes < 200 else RECIPE.task,
        train_per_class=images,
        epochs=epochs,
        val_every=max(2, epochs // 8),
    )


def sources() -> dict[str, tuple[Run, Path]]:
    """Return the recipe and the weights file of each source: "full", "50x98" (classes, images)."""
    return {"full": (RECIPE, WEIGHTS)} | {
        f"{classes}x{images}": (smaller(classes, images), weights_of(classes, images))
        for classes, images in SMALLER
    }


def pretrain() -> list[Record]:
    """Train the small Xception on drawn sources (synthetic); put the weights where timm finds them.

    A card beside each weights file tells recipe, history, minutes, accuracy and digest. With the
    full source comes the Fisher information of all tensors but the head's.
    """
    recipes = sources()
    records = train([run for run, _ in recipes.values()], keep_weights=True)
    for name, (run, weights) in recipes.items():
        record = records[run]
        weights.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights_path(record.key), weights)
        pictures = f"{len(record.classes)} classes of synthetic pictures, no photograph among them"
        card = {
            "command": "tlkit pretrain",
            "data": f"drawn_source: {pictures}",
            "recipe": record.recipe,
            "test_accuracy": round(record.accuracy, 4),
            "val_accuracy": round(record.val_accuracy, 4),
            "minutes": round(record.seconds / 60, 1),
            "parameters": record.parameters,
            "sha256": sha256(weights.read_bytes()).hexdigest(),
            "environment": record.environment,
            "history": record.history,
        }
        if name == "full":
            save_file(fisher_on_source(), FISHER)
            card["fisher"] = f"exact, on {FISHER_PER_CLASS} training pictures of each class"
            card["fisher_sha256"] = sha256(FISHER.read_bytes()).hexdigest()
        weights.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    return list(records.values())


def fisher_on_source() -> dict[str, torch.Tensor]:
    """Return the exact diagonal Fisher information of the shipped weights on their own source."""
    torch.set_num_threads(1)
    model = with_source_head(RECIPE.model, load_file(WEIGHTS))
    names = [name for name, _ in model.named_parameters() if not name.startswith("fc.")]
    mean, std = (torch.tensor(model.pretrained_cfg[name]) for name in ("mean", "std"))
    pictures = [
        drawing.draw(RECIPE.task, label, range(FISHER_PER_CLASS), RECIPE.size)
        for label in range(len(drawing.WORLDS[RECIPE.task]))
    ]
    parts = normalise(torch.from_numpy(np.concatenate(pictures)), mean, std).chunk(10)
    estimates = [diagonal(model, part, "exact", names) for part in progress(parts, "Fisher")]
    return {name: torch.stack([each[name] for each in estimates]).mean(0) for name in names}
