"""What this machine runs: versions, device, cores; and what suits processes that train."""

import os
import platform
from functools import cache
from importlib.metadata import version

# Else glibc hands freed memory back at every step, and gets it again page by page of 4 KiB. Read
# where a process starts, so set for those that train.
KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**28), "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


@cache  # every record wants it
def environment() -> dict[str, str | int]:
    """Versions and device, for records and reports; no result is keyed by them."""
    import torch

    packages = ("tlkit", "torch", "torchvision", "timm", "numpy")
    return {name: version(name) for name in packages} | {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cores": os.cpu_count() or 1,
    }


def environment_line() -> str:
    """The part of it that a reader of results wants to know, in one line."""
    found = environment()
    names = ("tlkit", "torch", "timm", "python", "device", "cores")
    return " · ".join(f"{name} {found[name]}" for name in names)
