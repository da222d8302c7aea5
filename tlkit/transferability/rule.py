"""The settings that plested2021 derives from how well the weights fit a target."""

from typing import NamedTuple


class Recommendation(NamedTuple):
    """Settings in words; `recipe.Pull` and `Run` say them in numbers."""

    difference: float  # accuracy from scratch - accuracy of the linear probe
    penalty: str  # "L2-SP" or "L2"
    reinitialised: str  # "head" or "head and last modules"
    learning_rates: str  # "one" or "by module"


def recommend(scratch: float, probe: float) -> Recommendation:
    """What plested2021 would try first, from two accuracies (0 … 1) on validation images.

    `scratch` is that of training from random weights, `probe` that of the linear probe; their
    difference d tells how well the weights fit. d < 0, they fit: L2-SP, and more modules than
    the head start afresh. Otherwise: plain L2, only the head afresh, learning rates by module.

    *Published*: that such measures guide the settings (abstract), and figures after which L2-SP
    and fewer transferred layers gained most on Caltech-256 and DTD, learning rates by layer on
    Cars and Aircraft. *Second-hand*: the measure d and its values for those four data sets; its
    sign was reported reversed. *Our reading*: the sign, that 0 divides, and to keep to one
    learning rate where the weights fit (rates by layer gained there too, but less than L2-SP).
    How many modules and which rates is not known: search. Four data sets and one network carry
    all this; `ranking.permutation_p` says what four points can show.

    Raises ValueError for accuracies outside 0 … 1.
    """
    if not (0 <= scratch <= 1 and 0 <= probe <= 1):
        raise ValueError(f"accuracies are 0 … 1, not {scratch!r} (scratch) and {probe!r} (probe)")
    if scratch < probe:
        return Recommendation(scratch - probe, "L2-SP", "head and last modules", "one")
    return Recommendation(scratch - probe, "L2", "head", "by module")
