"""tlkit: state a grid of training runs; train each once; read figures and verdicts off records."""

from tlkit import plots, published
from tlkit.data import load
from tlkit.models import build, count_modules, freeze, module_states, transfer
from tlkit.parameters import start
from tlkit.records import read
from tlkit.runs import Run, grid
from tlkit.stats import difference, interval
from tlkit.sweep import sweep
from tlkit.training import execute
from tlkit.verdicts import correct, verdicts

__all__ = [
    "Run", "build", "correct", "count_modules", "difference", "execute", "freeze", "grid",
    "interval", "load", "module_states", "plots", "published", "read", "start", "sweep",
    "transfer", "verdicts",
]
