"""Forecast how long the notebooks take on this machine, from a few timed training steps."""

import json
import timeit
from collections.abc import Sequence
from statistics import median

import torch
import torch.nn.functional as F

from tlkit.ground.alone import alone
from tlkit.ground.paths import SHIPPED
from tlkit.networks.models import build

REFERENCE = SHIPPED / "reference" / "times.json"  # of a run of all notebooks on two cores


def step_seconds() -> float:
    """Return the median seconds of a training step of the small Xception: 16 images, one thread.

    The step is written out here, so that no images have to be loaded. The first third of the
    steps does not count, because they are slower.
    """
    model = build("xception_small", 12).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    images = torch.randn(16, 3, 40, 40).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(16) % 12

    def step() -> None:
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    with alone():
        seconds = timeit.repeat(step, number=1, repeat=12)
    return median(seconds[4:])


def lab_minutes(step: float, jobs: int) -> dict[str, float]:
    """Return the minutes of each notebook in the `lab` profile, when nothing is stored yet.

    Scales those of the reference run by the seconds of a training step and by the processes.
    """
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    scale = step / reference["step_seconds"] * reference["workers"] / jobs
    return {name: minutes * scale for name, minutes in reference["minutes"].items()}


def forecast(names: Sequence[str], profile: str, jobs: int) -> str:
    """Say how long these notebooks take in a profile, with so many processes."""
    if profile == "paper":
        return "How long it takes: --dry-run says the hours of every arm"
    if profile == "smoke":
        return "A few minutes at most, and numbers without meaning"
    if not REFERENCE.is_file():  # as in a wheel
        return "How long it takes is not known: this installation has no reference times"
    step = step_seconds()
    minutes = lab_minutes(step, jobs)
    total = max(1, sum(minutes.get(name, 0) for name in names))
    pace = f"a training step takes {1000 * step:.0f} ms here"
    return f"About {total:.0f} min with the profile's own seeds and nothing stored yet ({pace})"
