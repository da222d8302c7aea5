"""Audit a study's published numbers: what in them cannot be, and what they do not show."""

from importlib import import_module

import pandas as pd

from tlkit.ground.names import check_name
from tlkit.studies.findings import KINDS, Finding

STUDIES = ("paddleclas2020", "plested2021", "reyes2022", "vuong2022")


def audit(study: str | None = None) -> pd.DataFrame:
    """What the checks find in the published numbers: one row per finding, gravest kind first.

    Columns, all text: where, published, check (what found it), finding (in sentences), kind
    (`findings.KINDS`). Accuracies are in %, losses in nats, differences in points. z is unpaired
    binomial, and a difference exceeds noise when |z| > 1.96 for every likely number of test images.
    Without a study: all, one after the other, named by a column more. Raises `UnknownName` for a
    study that has no audit.
    """
    if study is None:
        every = {name: audit(name) for name in STUDIES}
        return pd.concat(every, names=["study", "row"]).reset_index("study").reset_index(drop=True)
    check_name("audited study", study, STUDIES)
    found = import_module(f"tlkit.studies.{study}").findings()
    frame = pd.DataFrame(found, columns=Finding._fields)
    return frame.sort_values(
        "kind", key=lambda kind: kind.map(KINDS.index), kind="stable", ignore_index=True
    )
