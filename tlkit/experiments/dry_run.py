"""Try every arm of an experiment for two steps, before the hours are spent."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import torch

from tlkit.experiments.records import initial_weights
from tlkit.ground.progress import progress
from tlkit.images.tasks import load
from tlkit.recipe import Run
from tlkit.training.loop import Trained, execute


def dry_run(arms: Mapping[str, Run]) -> pd.DataFrame:
    """Build every arm and train it for two steps: does it run, and how long would it all take?

    Prints and returns the table. Columns: arm, parameters, trainable, train_loss, val_accuracy (of
    a few images: a number for notebooks that choose by it), seconds (of the two steps), hours (of
    one whole run at that pace, without what a cached prefix saves).
    """
    rows, sources = [], {}
    for arm, run in progress(list(arms.items()), "two steps of each arm"):
        trained = _two_steps(run, sources)
        steps = run.epochs * max(1, len(load(run).train) // run.batch_size)
        rows.append({
            "arm": arm, "parameters": trained.parameters, "trainable": trained.trainable,
            **{name: trained.history[-1][name] for name in ("train_loss", "val_accuracy")},
            "seconds": round(trained.seconds, 2),
            "hours": round(trained.seconds / 2 * steps / 3600, 3),
        })
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    return table


def _two_steps(run: Run, sources: dict[Run, dict[str, torch.Tensor]]) -> Trained:
    """Train two steps; `sources` keeps the weights of runs that several arms start from."""
    if isinstance(run.init, Run):
        if run.init not in sources:
            sources[run.init] = _two_steps(run.init, sources).weights
        weights = sources[run.init]
    else:
        weights = initial_weights(run)
    return execute(replace(run, epochs=1), load(run).trial(2 * run.batch_size), weights)
