"""Try every arm of an experiment for two steps, before hours are spent on it."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd
import torch

from tlkit.experiments.records import initial_weights
from tlkit.ground.progress import progress
from tlkit.images.tasks import load
from tlkit.recipe import Run
from tlkit.training.loop import Trained, execute


def dry_run(arms: Iterable[tuple[dict, Run]]) -> pd.DataFrame:
    """Train every arm for two steps: does it run, and how long would it all take?

    `arms` are pairs of `arms.coordinates` and `Run`. Prints and returns a table. Columns: arm, the
    coordinates, parameters, trainable, train_loss, val_accuracy (of a few images, for notebooks
    that choose by it), seconds (of the two steps), hours (of one whole run at that pace; a cached
    prefix makes it faster).
    """
    rows = []
    sources: dict[str | Run, dict[str, torch.Tensor]] = {}
    for arm, run in progress(list(arms), "two steps of each arm"):
        trained = _two_steps(run, sources)
        steps = run.epochs * max(1, len(load(run).train) // run.batch_size)
        sizes = {"parameters": trained.parameters, "trainable": trained.trainable}
        last = {name: trained.history[-1][name] for name in ("train_loss", "val_accuracy")}
        hours = round(trained.seconds / 2 * steps / 3600, 3)
        rows.append(arm | sizes | last | {"seconds": round(trained.seconds, 2), "hours": hours})
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    return table


def _two_steps(run: Run, sources: dict[str | Run, dict[str, torch.Tensor]]) -> Trained:
    """Train two steps. `sources` keeps the weights of runs that several arms start from."""
    if isinstance(run.init, Run) and run.init not in sources:
        sources[run.init] = _two_steps(run.init, sources).weights
    weights = sources[run.init] if run.init in sources else initial_weights(run)
    return execute(replace(run, epochs=1), load(run).trial(2 * run.batch_size), weights)
