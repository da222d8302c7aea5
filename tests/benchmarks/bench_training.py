"""What the kit costs beside plain torch: `python tests/benchmarks/bench_training.py`.

Only ratios within one run are printed: (a) the whole training loop against the bare step on one
resident batch, (b) a sweep in two processes against one, (c) a step with a penalty against one
without. Run it on a quiet machine.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from unittest.mock import patch

os.environ["TLKIT_PROGRESS"] = "off"

import numpy as np
import torch
import torch.nn.functional as F
from timm.optim import create_optimizer_v2

from tlkit.experiments.sweep import train as train_all
from tlkit.images.tasks import Split
from tlkit.networks.models import build
from tlkit.networks.modules import modules
from tlkit.recipe import Run, l2_sp
from tlkit.training.feeding import Feed
from tlkit.training.groups import parameter_groups
from tlkit.training.loop import fit
from tlkit.training.penalties import Penalty, attach

RUN = Run(
    task="drawn8",
    model="xception_small",
    init="random",
    size=48,
    train_per_class=40,
    val_per_class=1,
    epochs=1,
    batch_size=32,
)
IMAGES, REPEATS = 320, 7  # images in an epoch; how often the two are alternated
NO_PENALTY, PENALTY_REPEATS = Penalty([]), 200  # of a single step, to tell some percent
# Equal runs on two cores: five take three rounds, so no schedule gives more than 5/3.
RUNS, EPOCHS, SWEEPS = 6, 6, 3


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(RUN.model, 8).to(memory_format=torch.channels_last)


def random_feed(model: torch.nn.Module, n: int) -> Feed:
    generator = np.random.default_rng(0)
    pool = generator.integers(256, size=(n, 3, RUN.size, RUN.size), dtype=np.uint8)
    labels = torch.from_numpy(generator.integers(8, size=n))
    return Feed(Split(pool, np.arange(n), labels), model, ((0.5,) * 3,) * 2)


def loop_rate(model: torch.nn.Module, train: Feed, val: Feed) -> float:
    """Images a second of the whole loop: feeding, schedule, history and all."""
    start = time.perf_counter()
    fit(model, train, val, RUN, parameter_groups(model, modules(model), RUN), NO_PENALTY)
    return IMAGES / (time.perf_counter() - start)


def step_rate(
    model: torch.nn.Module,
    train: Feed,
    penalty: Penalty = NO_PENALTY,
    steps: int = IMAGES // RUN.batch_size,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Images a second of forward, backward, penalty and optimizer step alone."""
    rows = torch.arange(RUN.batch_size)
    (batch,), labels = train(rows), train.labels[rows]
    optimizer = create_optimizer_v2(
        model, opt=RUN.optimizer, lr=RUN.lr, weight_decay=RUN.decay(), momentum=0.9
    )
    model.train()
    start = clock()
    for _ in range(steps):
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        penalty.add_gradients((batch,))
        optimizer.step()
    return steps * RUN.batch_size / (clock() - start)


def bench_loop() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    looped, bare = network(), network()
    train, val = random_feed(looped, IMAGES), random_feed(looped, 1)
    loop_rate(looped, train, val), step_rate(bare, train)  # warm
    pairs = [(loop_rate(looped, train, val), step_rate(bare, train)) for _ in range(REPEATS)]
    ratios = [loop / step for loop, step in pairs]
    rates = [statistics.median(rate) for rate in zip(*pairs)]
    print(
        f"(a) loop {rates[0]:.0f}, bare step {rates[1]:.0f} images/s; ratio "
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
        f"target 0.90 or more"
    )


def bench_penalty() -> None:
    """L2-SP on all weights but the head's, in CPU time: other processes disturb it less."""
    pulled, free = network(), network()
    train, row = random_feed(free, IMAGES), modules(pulled)
    penalty = attach(pulled, row, l2_sp(0.1), len(row), lambda *_: None)
    step_rate(pulled, train, penalty), step_rate(free, train)  # warm
    ratios = []
    for _ in range(PENALTY_REPEATS):
        with_penalty = step_rate(pulled, train, penalty, 1, time.process_time)
        ratios.append(step_rate(free, train, NO_PENALTY, 1, time.process_time) / with_penalty)
    quartiles = statistics.quantiles(ratios, n=4)
    print(
        f"(c) step with L2-SP, in steps without; ratio {statistics.median(ratios):.3f} "
        f"(quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}), target 1.03 or less"
    )


def sweep_seconds(processes: int, first_seed: int, runs: int, epochs: int) -> float:
    """Seconds for `runs` new runs; every call needs seeds that have no record yet."""
    seeds = range(first_seed, first_seed + runs)
    recipes = [Run(**vars(RUN) | {"seed": seed, "epochs": epochs}) for seed in seeds]
    with patch("tlkit.experiments.workers.workers", return_value=processes):
        start = time.perf_counter()
        train_all(recipes)
        return time.perf_counter() - start


def bench_sweep() -> None:
    ratios = []
    for repeat in range(SWEEPS):
        first = 100 * repeat
        for processes in (2, 1):  # warm: draws the images, starts the workers, imports
            sweep_seconds(processes, first + 50 + 10 * processes, 2, 1)
        two = sweep_seconds(2, first, RUNS, EPOCHS)
        one = sweep_seconds(1, first + 25, RUNS, EPOCHS)
        ratios.append(one / two)
    print(
        f"(b) {RUNS} runs: one process {one:.1f} s, two {two:.1f} s; ratio "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"target 1.80 or more on two quiet cores"
    )


if __name__ == "__main__":
    bench_loop()
    bench_penalty()
    with tempfile.TemporaryDirectory(prefix="tlkit-bench-") as home:
        os.environ["TLKIT_HOME"] = home
        bench_sweep()
