"""Start the kernels of notebooks, each in its own environment, and leave none behind."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, cast

import psutil
from jupyter_client import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets.config import Config

LONGEST_SOCKET = 107  # bytes of a path; Linux allows no more
stopped = Event()  # no kernel is started any more
_started: list[Popen] = []


class Kernel(AsyncKernelManager):
    """Run a kernel with `variables` as its environment. nbclient makes one from a class."""

    variables: Mapping[str, str] = {}
    process: Popen | None = None

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the process, and remember it."""
        await super().start_kernel(env=dict(self.variables), **options)
        process = cast(Popen, cast(LocalProvisioner, self.provisioner).process)
        type(self).process = process
        _started.append(process)
        if stopped.is_set():
            end(process)


def stop_all() -> None:
    """End every kernel that still runs, with the processes that train for it."""
    stopped.set()
    for process in [each for each in _started if each.poll() is None]:
        end(process)


def end(process: Popen) -> None:
    """Kill a kernel and the processes that it has started, even if it is dead itself."""
    process.kill()
    if os.name != "posix":
        return
    group = []  # the kernel leads it
    for each in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.Error):
            # A resource tracker removes what the others leave in memory, and then ends by itself.
            ours = os.getpgid(each.pid) == process.pid
            if ours and "resource_tracker" not in " ".join(each.cmdline()):
                each.kill()
                group.append(each)
    psutil.wait_procs(group, timeout=10)


def cause(kernel: type[Kernel], message: str) -> str:
    """Say which process was killed: the kernel, or one that trains for it; "" if none was."""
    who = ""
    if kernel.process and kernel.process.poll() == -9:
        who = "The kernel"
    elif "SIGKILL" in message and "TerminatedWorkerError" in message:
        who = "A process that trains"
    error = message.partition(":")[0]
    remedy = "was killed, as the system does when memory runs out; use fewer --jobs"
    return f"{who} {remedy} ({error})" if who else ""


@contextmanager
def private_sockets() -> Iterator[Config]:
    """Yield settings for sockets in files: they are private, and cause no warning of a port."""
    folders = [tempfile.gettempdir(), "/tmp", "/var/tmp"]
    longest = LONGEST_SOCKET - len("/tmp12345678/kernel-ipc-65535")
    short = [each for each in folders if len(os.fsencode(each)) <= longest and os.access(each, 2)]
    if os.name != "posix" or not short:
        yield Config()
        return
    with TemporaryDirectory(dir=short[0]) as folder:
        file = str(Path(folder, "kernel.json"))
        yield Config({"KernelManager": {"transport": "ipc", "connection_file": file}})
