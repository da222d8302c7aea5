"""How the weights of the small Xception came about: `tlkit pretrain` makes them again."""

import json
import shutil
from hashlib import sha256

from tlkit.records import Record, complete, weights_path
from tlkit.runs import Run
from tlkit.xception import WEIGHTS

RECIPE = Run(
    task="drawn_source", model="xception_small", init="random", train_per_class=None,
    val_per_class=10, augmentation="colour", epochs=16, batch_size=128, lr=0.2,
    weight_decay=1e-4, val_every=2,
)


def pretrain() -> Record:
    """Train the small Xception on the drawn source (synthetic) and put it where timm finds it.

    Writes the weights and, beside them, their card: recipe, history, minutes, accuracy, digest.
    """
    record = complete(RECIPE, keep_weights=True)
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights_path(record.key), WEIGHTS)
    card = {
        "command": "tlkit pretrain",
        "data": "drawn_source: 200 classes of synthetic pictures, no photograph among them",
        "recipe": record.recipe,
        "test_accuracy": round(record.accuracy, 4),
        "val_accuracy": round(record.val_accuracy, 4),
        "minutes": round(record.seconds / 60, 1),
        "parameters": record.parameters,
        "sha256": sha256(WEIGHTS.read_bytes()).hexdigest(),
        "environment": record.environment,
        "history": record.history,
    }
    WEIGHTS.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    return record
