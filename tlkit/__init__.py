"""tlkit: state a grid of training runs; train each once; read figures and verdicts off records."""

from importlib import import_module

# Public name -> its module. Imported when first used: a worker needs no plotting library.
_HOMES = {
    "Run": "runs", "choose": "runs", "grid": "runs",
    "load": "data",
    "build": "models", "count_modules": "models", "freeze": "models", "module_states": "models",
    "transfer": "models",
    "Kept": "heads", "l2": "penalties", "l2_sp": "penalties",
    "execute": "training",
    "in_parallel": "sweeping", "sweep": "sweeping", "read": "records",
    "replay": "searching", "search": "searching",
    "difference": "stats", "interval": "stats", "power": "stats",
    "compare": "judging", "ensemble": "ensembles", "measure": "judging", "scores": "judging",
    "verdicts": "judging",
    "audit": "auditing",
    "features": "extraction", "linear_probe": "probe", "recommend": "probe",
    "logme": "transferability", "leep": "transferability", "h_score": "transferability",
    "linear_cka": "transferability", "permutation_p": "ranking", "rank_correlation": "ranking",
    "keep": "results", "kept": "results", "start": "parameters",
}
_MODULES = ("plots", "published")

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"tlkit.{name}")
    if name in _HOMES:
        return getattr(import_module(f"tlkit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tlkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
