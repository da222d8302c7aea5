"""How long the notebooks will take on this machine, from a few timed training steps."""

import json
import time
from statistics import median

import torch
import torch.nn.functional as F

from tlkit.experiments.workers import workers
from tlkit.ground.paths import SHIPPED
from tlkit.networks.models import build

REFERENCE = SHIPPED / "reference" / "times.json"  # of a run of all notebooks on two cores


def step_seconds(steps: int = 12) -> float:
    """Median seconds of a training step of the small Xception: 16 pictures of 40 pixels, a thread.

    Not the loop of `training`, so that nothing is loaded; the first steps, slower, are left out.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = build("xception_small", 12).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    images = torch.randn(16, 3, 40, 40).contiguous(memory_format=torch.channels_last)
    labels, seconds = torch.arange(16) % 12, []
    for _ in range(steps):
        start = time.perf_counter()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return median(seconds[steps // 3:])


def lab_minutes(step: float) -> dict[str, float]:
    """Minutes of each notebook in the `lab` profile where a training step takes `step` seconds.

    The reference run's, scaled by the step and by the number of processes; nothing stored yet.
    """
    reference = json.loads(REFERENCE.read_text())
    scale = step / reference["step_seconds"] * reference["workers"] / workers()
    return {name: minutes * scale for name, minutes in reference["minutes"].items()}
