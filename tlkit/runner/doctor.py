"""Say what this machine can run: `tlkit doctor`."""

import shutil
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psutil
import timm
import torch

from tlkit.experiments.workers import workers
from tlkit.ground.machine import environment
from tlkit.ground.paths import home
from tlkit.images.public import SETS
from tlkit.runner.forecast import REFERENCE, lab_minutes, step_seconds

HUB = ("huggingface.co", 443)  # where timm's pretrained weights are
NEEDED = {"memory": 4, "disk": 2}  # GB free, for the lab profile
VERSIONS = ("tlkit", "python", "torch", "torchvision", "timm")
GB = 1e9


def examine() -> Iterator[tuple[str, str]]:
    """Yield what the machine has and what it is enough for: (subject, finding)."""
    machine = environment()
    yield "versions", ", ".join(f"{name} {machine[name]}" for name in VERSIONS)
    yield "system", f"{machine['system']}, {machine['cores']} cores, {workers()} training processes"
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    cpu = "CPU: lab and smoke; paper only as --dry-run"
    yield "device", f"{gpu.name}, {gpu.total_memory / GB:.0f} GB" if gpu else cpu
    there = next(each for each in (home().absolute() / "records").parents if each.exists())
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(there)
    yield "memory", _enough(memory.available, memory.total, NEEDED["memory"])
    yield "disk", f"{_enough(disk.free, disk.total, NEEDED['disk'])} at {home().absolute()}"
    yield "weights", _shipped_weights()
    yield "network", _network()
    public = [name for name in SETS if (home() / "public" / SETS[name].folder).is_dir()]
    yield "public data", f"{', '.join(public) or 'none'} of {', '.join(SETS)}"
    folders = [each.name for each in sorted(home().glob("images/*")) if each.is_dir()]
    yield "image folders", ", ".join(folders) or f"none under {home().absolute() / 'images'}"
    step = step_seconds()
    yield "speed", f"{1000 * step:.0f} ms for a training step of the small Xception"
    yield "smoke", "a few minutes for all notebooks"
    yield "lab", _lab(step)
    trial = "`tlkit run NOTEBOOK --profile paper --dry-run`"
    without = f"not without a GPU; {trial} tries every arm"
    yield "paper", f"{trial} says the hours of every arm" if gpu else without


def _lab(step: float) -> str:
    if not REFERENCE.is_file():  # as in a wheel
        return "how long it takes is not known: this installation has no reference times"
    total = sum(lab_minutes(step, workers()).values())
    return f"about {total:.0f} minutes for all notebooks when nothing is stored yet"


def _enough(free: float, total: float, needed: float) -> str:
    verdict = "enough" if free >= needed * GB else f"TOO LITTLE: lab needs {needed} GB free"
    return f"{free / GB:.1f} of {total / GB:.1f} GB free, {verdict}"


def _shipped_weights() -> str:
    """Check that every file of weights is there and has the hash that its card states."""
    names = timm.list_models("xception_small*", pretrained=True)
    files = {name: Path(timm.get_pretrained_cfg(name).file) for name in names}
    missing = [name for name, file in files.items() if not file.is_file()]
    if missing:
        return f"MISSING: {', '.join(missing)}; clone the repository again, or run tlkit pretrain"
    digests = {name: sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    cards = {
        name: file.with_suffix(".json").read_text(encoding="utf-8") for name, file in files.items()
    }
    damaged = [name for name in files if digests[name] not in cards[name]]
    if damaged:
        return f"DAMAGED: {', '.join(damaged)}; clone the repository again"
    return f"{len(files)} files of the small Xception, as their cards say"


def _network() -> str:
    try:
        socket.create_connection(HUB, timeout=3).close()
    except OSError:
        return "none: lab and smoke need none; paper does, for weights and data"
    return "reaches the hub of pretrained weights"
