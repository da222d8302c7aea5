"""vuong2022's Table 1 and training logs by setting.

A setting is a pair (beta, alpha) as they are written: the strengths of the Fisher term and of L2.
"""

import pandas as pd

from tlkit.studies.published import published

IMAGES = 3_333  # validation images, of which every log gives the accuracy
SETTING = ["beta", "alpha"]
NUMBERS = ["classes", "scheduled", "epochs", "best", "last", "median10", "best67"]


def cells() -> pd.Series:
    """The accuracies of Table 1 as printed."""
    return published("vuong2022", "table1", printed=True).set_index(SETTING)["accuracy"]


def logs() -> pd.DataFrame:
    """The logs of the final series, which has the settings of Table 1."""
    every = published("vuong2022", "logs", printed=True).set_index(SETTING)
    return every[every["log"].str.startswith("new")].astype(dict.fromkeys(NUMBERS, float))


def spot(setting: tuple[str, str]) -> str:
    return "β {}, α {}".format(*setting)
