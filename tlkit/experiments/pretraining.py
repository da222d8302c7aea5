"""How the weights of the small Xception came about: `tlkit pretrain` makes them again."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tlkit import drawing
from tlkit.experiments.records import Record, weights_path
from tlkit.experiments.sweep import train
from tlkit.ground.names import check_name
from tlkit.ground.progress import progress
from tlkit.networks.models import with_source_head
from tlkit.networks.small_xception import FISHER, SMALLER, WEIGHTS, weights_of
from tlkit.recipe import Run
from tlkit.training.augmentation import normalise
from tlkit.training.fisher import diagonal

RECIPE = Run(
    task="drawn_source", model="xception_small", init="random", train_per_class=None,
    val_per_class=10, augmentation="colour", epochs=16, batch_size=128, lr=0.2,
    weight_decay=1e-4, val_every=2,
)
FISHER_PER_CLASS = 2  # training pictures of each source class


def smaller(classes: int, images: int) -> Run:
    """The recipe with the first `classes` of the source and `images` of each.

    All take as many steps, a fourth of the full one's: fewer pictures are seen more often.
    """
    kept = ",".join(drawing.WORLDS[RECIPE.task][:classes])
    epochs = round(RECIPE.epochs * 50 * 390 / (classes * images))
    return replace(
        RECIPE, task=f"{RECIPE.task}[{kept}]" if classes < 200 else RECIPE.task,
        train_per_class=images, epochs=epochs, val_every=max(2, epochs // 8),
    )


def pretrain(names: Sequence[str] = ()) -> list[Record]:
    """Train the small Xception on drawn sources (synthetic); put the weights where timm finds them.

    `names` are "full" and those of the smaller sources, such as "50x98" (classes, images of each);
    none means all. Beside each file of weights stands a card (recipe, history, minutes, accuracy,
    digest), and beside the full source's the Fisher information of all but the head.
    Raises `UnknownName` for another name.
    """
    sizes = {f"{classes}x{images}": (classes, images) for classes, images in SMALLER}
    for name in names:
        check_name("source", name, ["full", *sizes])
    wanted = {
        name: (smaller(*sizes[name]), weights_of(*sizes[name])) if name in sizes
        else (RECIPE, WEIGHTS)
        for name in names or ["full", *sizes]
    }
    records = train([run for run, _ in wanted.values()], keep_weights=True)
    for name, (run, weights) in wanted.items():
        weights.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights_path(records[run].key), weights)
        more = {}
        if name == "full":
            save_file(fisher_on_source(), FISHER)
            more = {
                "fisher": f"exact, on {FISHER_PER_CLASS} training pictures of each class",
                "fisher_sha256": sha256(FISHER.read_bytes()).hexdigest(),
            }
        _write_card(name, weights, records[run], more)
    return list(records.values())


def _write_card(name: str, weights: Path, record: Record, more: dict) -> None:
    card = {
        "command": f"tlkit pretrain {name}",
        "data": f"drawn_source: {len(record.classes)} classes of synthetic pictures, "
                "no photograph among them",
        "recipe": record.recipe,
        "test_accuracy": round(record.accuracy, 4),
        "val_accuracy": round(record.val_accuracy, 4),
        "minutes": round(record.seconds / 60, 1),
        "parameters": record.parameters,
        "sha256": sha256(weights.read_bytes()).hexdigest(),
        **more,
        "environment": record.environment,
        "history": record.history,
    }
    weights.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")


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
