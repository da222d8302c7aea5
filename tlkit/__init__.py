"""tlkit: state a grid of training runs, train each once, judge claims from the records.

The rooms, from the ground up; each may use those above it in this list, and none below:

ground           names, paths, progress bars, the machine
recipe           what one run is, as plain data
drawing          the painter of the drawn (synthetic) world
networks         any timm model as a row of modules; transfer, freeze, heads
images           a task by name -> labelled images
training         one loop, and what acts in it
experiments      each run once, many runs: records, sweeps, searches, results
transferability  does it fit, before any training?
judging          what came out, and how sure is it? intervals, comparisons, verdicts
studies          what was published, and what is wrong in it
plots            figures and tables
runner           notebooks as programs: parameters, report, forecast, doctor
cli              the command tlkit
"""

from importlib import import_module

# Public name -> its file. Loaded when first used: a worker needs no plotting library.
_HOMES = {
    "Run": "recipe", "Head": "recipe", "l2": "recipe", "l2_sp": "recipe",
    "grid": "recipe", "choose": "recipe",
    "load": "images.tasks",
    "build": "networks.models", "modules": "networks.modules",
    "transfer": "networks.transfer", "freeze": "networks.transfer",
    "execute": "training.loop",
    "sweep": "experiments.sweep", "search": "experiments.search", "read": "experiments.records",
    "compare": "judging.compare", "differences": "judging.compare",
    "measure": "judging.compare", "scores": "judging.compare",
    "difference": "judging.intervals", "interval": "judging.intervals",
    "Estimate": "judging.intervals",
    "ensemble": "judging.ensembles", "verdicts": "judging.verdicts",
    "published": "studies.published", "audit": "studies.audit",
    "start": "runner.parameters",
}
_ROOMS = (
    "drawing", "experiments", "ground", "images", "judging", "networks", "plots", "recipe",
    "runner", "studies", "training", "transferability",
)

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"tlkit.{name}")
    if name in _HOMES:
        return getattr(import_module(f"tlkit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tlkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
