"""Describe this machine (versions, device, cores), and name what suits processes that train."""

import os
import platform
from functools import cache
from importlib.metadata import version

# Otherwise glibc returns freed memory to the system at every step, and gets it back in pages of
# 4 KiB. A process reads these settings when it starts.
KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**28),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


@cache  # every record asks for it
def environment() -> dict[str, str | int]:
    """Return versions and device, for records and reports; they are not part of a record's key."""
    import torch  # slow to import, and most commands do not need it

    packages = ("tlkit", "torch", "torchvision", "timm", "numpy")
    return {name: version(name) for name in packages} | {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cores": os.cpu_count() or 1,
    }


def environment_line() -> str:
    """Return the part that a reader of results needs, in one line."""
    names = ("tlkit", "torch", "timm", "python", "device", "cores")
    return " · ".join(f"{name} {environment()[name]}" for name in names)
