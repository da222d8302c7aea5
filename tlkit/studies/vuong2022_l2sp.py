"""The paper of L2-SP: does it gain more over L2 with fewer images per class (C4.7)?"""

from collections.abc import Iterator

import numpy as np

from tlkit.studies.findings import CRITICAL, Finding, points
from tlkit.studies.published import published

RUNS = 5  # behind each mean and standard deviation


def findings() -> Iterator[Finding]:
    rows = published("vuong2022", "li2018").dropna(subset=["per_class", "sd"])
    cells = rows.pivot(index="per_class", columns="setting", values=["accuracy", "sd"])
    gains = cells["accuracy"]["L2-SP"] - cells["accuracy"]["L2"]
    growth = gains.iloc[0] - gains.iloc[-1]  # from most to fewest images
    error = np.sqrt((cells["sd"].iloc[[0, -1]] ** 2).to_numpy().sum() / RUNS)
    if growth < CRITICAL * error:
        yield Finding(
            "L2-SP paper, ICLR 2018 submission, Caltech-256: L2-SP − L2",
            ", ".join(f"{points(gain)} ({size:.0f} per class)" for size, gain in gains.items())
            + " points", "claim", f"The gain is said to grow as images get fewer. Here it changes "
            f"by {points(growth)} points, standard error {error:.2f}.", "not shown",
        )
