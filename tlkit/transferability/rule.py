"""The settings that plested2021 derives from how well the weights fit a target."""

from typing import NamedTuple


class Recommendation(NamedTuple):
    """Settings in words; `recipe.Pull` and `Run` say them in numbers."""

    difference: float  # accuracy from scratch - accuracy of the linear probe
    penalty: str  # "L2-SP" or "L2"
    reinitialised: str  # "head" or "head and last modules"
    learning_rates: str  # "one" or "by module"


def recommend(scratch: float, probe: float) -> Recommendation:
    """Return what plested2021 would try first, from two accuracies (0 … 1) on validation images.

    `scratch` is that of training from random weights, `probe` that of the linear probe. Their
    difference d says how well the weights fit. For d < 0 they fit: L2-SP, and more modules than
    the head start afresh. Otherwise: plain L2, only the head afresh, learning rates by module.

    *Published*: such measures guide the settings (abstract). In the figures, L2-SP and fewer
    transferred layers gain most on Caltech-256 and DTD, learning rates by layer on Cars and
    Aircraft. *Second-hand*: the measure d, and its values for those four data sets; the report
    has its sign reversed. *Our reading*: the sign, the limit of 0, and one learning rate if the
    weights fit (rates by layer gain there too, but less than L2-SP). The number of modules and
    the learning rates are not known: search. The rule rests on four data sets and one network;
    `ranking.permutation_p` says what four points can show. Raises ValueError outside 0 … 1.
    """
    if not (0 <= scratch <= 1 and 0 <= probe <= 1):
        raise ValueError(f"accuracies are 0 … 1, not {scratch!r} (scratch) and {probe!r} (probe)")
    if scratch < probe:
        return Recommendation(scratch - probe, "L2-SP", "head and last modules", "one")
    return Recommendation(scratch - probe, "L2", "head", "by module")
