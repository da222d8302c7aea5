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

_FACE = {  # file -> its public names
    "recipe": "Run Head l2 l2_sp grid choose",
    "images.tasks": "load",
    "networks.models": "build",
    "networks.modules": "modules",
    "networks.transfer": "transfer freeze",
    "training.loop": "execute",
    "experiments.records": "read",
    "experiments.sweep": "sweep",
    "experiments.search": "search",
    "judging.intervals": "difference interval Estimate",
    "judging.compare": "compare differences measure scores",
    "judging.ensembles": "ensemble",
    "judging.verdicts": "verdicts",
    "studies.published": "published",
    "studies.audit": "audit",
    "runner.parameters": "start",
}
_HOMES = {name: home for home, names in _FACE.items() for name in names.split()}
_ROOMS = (
    *("ground", "recipe", "drawing", "networks", "images", "training", "experiments"),
    *("transferability", "judging", "studies", "plots", "runner"),
)

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> object:  # loads a room when first used: a worker needs no plots
    if name in _ROOMS:
        return import_module(f"tlkit.{name}")
    if name in _HOMES:
        return getattr(import_module(f"tlkit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tlkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
