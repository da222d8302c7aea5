"""How the weights of the small Xception came about: `tlkit pretrain` makes them again."""

import json
import shutil
from hashlib import sha256

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tlkit import drawing
from tlkit.augmentation import normalise
from tlkit.fisher import diagonal
from tlkit.models import with_source_head
from tlkit.progress import progress
from tlkit.records import Record, complete, weights_path
from tlkit.runs import Run
from tlkit.xception import FISHER, WEIGHTS

RECIPE = Run(
    task="drawn_source", model="xception_small", init="random", train_per_class=None,
    val_per_class=10, augmentation="colour", epochs=16, batch_size=128, lr=0.2,
    weight_decay=1e-4, val_every=2,
)
FISHER_PER_CLASS = 2  # training pictures of each source class


def pretrain() -> Record:
    """Train the small Xception on the drawn source (synthetic) and put it where timm finds it.

    Writes the weights and, beside them, their card (recipe, history, minutes, accuracy, digest)
    and the Fisher information of all but the head.
    """
    record = complete(RECIPE, keep_weights=True)
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights_path(record.key), WEIGHTS)
    save_file(fisher_on_source(), FISHER)
    card = {
        "command": "tlkit pretrain",
        "data": "drawn_source: 200 classes of synthetic pictures, no photograph among them",
        "recipe": record.recipe,
        "test_accuracy": round(record.accuracy, 4),
        "val_accuracy": round(record.val_accuracy, 4),
        "minutes": round(record.seconds / 60, 1),
        "parameters": record.parameters,
        "sha256": sha256(WEIGHTS.read_bytes()).hexdigest(),
        "fisher": f"exact, on {FISHER_PER_CLASS} training pictures of each class",
        "fisher_sha256": sha256(FISHER.read_bytes()).hexdigest(),
        "environment": record.environment,
        "history": record.history,
    }
    WEIGHTS.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    return record


def fisher_on_source() -> dict[str, torch.Tensor]:
    """The exact diagonal Fisher information of the small Xception's weights on its own source."""
    torch.set_num_threads(1)
    model = with_source_head(RECIPE.model, load_file(WEIGHTS))
    names = [name for name, _ in model.named_parameters() if not name.startswith("fc.")]
    mean, std = (torch.tensor(model.pretrained_cfg[name]) for name in ("mean", "std"))
    pictures = np.concatenate([
        drawing.draw(RECIPE.task, label, range(FISHER_PER_CLASS), RECIPE.size)
        for label in range(len(drawing.WORLDS[RECIPE.task]))
    ])
    parts = normalise(torch.from_numpy(pictures), mean, std).chunk(10)
    found = [diagonal(model, part, "exact", names) for part in progress(parts, "Fisher")]
    return {name: torch.stack([each[name] for each in found]).mean(0) for name in names}
