"""Tests write into a folder of their own, without progress bars, and never use the network."""

import os
import shutil
import tempfile

from hypothesis import settings

os.environ["TLKIT_PROGRESS"] = "off"
os.environ["HF_HUB_OFFLINE"] = "1"
settings.register_profile("same", derandomize=True)  # the same examples in every run
settings.load_profile("same")
CONTROLLER = "PYTEST_XDIST_WORKER" not in os.environ
if CONTROLLER:  # the workers inherit it, and so draw each world once between them
    os.environ["TLKIT_HOME"] = tempfile.mkdtemp(prefix="tlkit-tests-")


def pytest_unconfigure() -> None:
    if CONTROLLER:
        shutil.rmtree(os.environ["TLKIT_HOME"], ignore_errors=True)
