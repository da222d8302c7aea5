"""Audit a study's published numbers: which of them are impossible, and what they do not show.

To add an audit, write a module with a function `findings` and name it as the study's folder.
"""

from importlib import import_module
from importlib.util import find_spec

import pandas as pd

from tlkit.ground.names import check_name
from tlkit.studies.findings import KINDS, Finding
from tlkit.studies.published import studies

# The studies that have a module here, in the order of their claims.
STUDIES = tuple(each.name for each in studies() if find_spec(f"tlkit.studies.{each.name}"))


def audit(study: str | None = None) -> pd.DataFrame:
    """Return what the checks find in published numbers: one row per finding, gravest kind first.

    Columns, all text: where, published, check (what found it), finding (in sentences), kind
    (`findings.KINDS`). Accuracies are in %, losses in nats, differences in points. z is unpaired
    binomial, and a difference exceeds noise when |z| > 1.96 for every likely number of test images.
    Without a study: all of them, with a first column "study". Raises `UnknownName` for a study
    that has no audit.
    """
    if study is None:
        tables = pd.concat({each: audit(each) for each in STUDIES}, names=["study"])
        return tables.reset_index("study").reset_index(drop=True)
    check_name("audited study", study, STUDIES)
    rows = import_module(f"tlkit.studies.{study}").findings()
    gravest_first = sorted(rows, key=lambda finding: KINDS.index(finding.kind))
    return pd.DataFrame(gravest_first, columns=Finding._fields)
