"""The ledger of claims and the studies are complete, and each claim's arms are in its notebook."""

import ast
import re
from functools import cache
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from tlkit.experiments.arms import select
from tlkit.experiments.results import reference
from tlkit.ground.names import UnknownName
from tlkit.ground.paths import ROOT, STUDIES
from tlkit.judging import ledger
from tlkit.judging.intervals import FAMILY
from tlkit.judging.ledger import Comparison, claim, claims
from tlkit.judging.metrics import contributions
from tlkit.runner.notebooks import available
from tlkit.studies.published import published, studies

CLAIMS = {each.id: each for each in claims()}
COMPARED = [name for name, each in CLAIMS.items() if each.comparisons]
BY_NAME = {each.name: each for each in studies()}
NOTEBOOKS = {path.stem: path for path in available()}
ENSEMBLE = {"role", "size"}  # coordinates of an ensemble, which is made of stored runs
VERDICTS = {"supported", "contradicted", "undecided"}


# the studies


def test_there_are_studies_and_every_folder_is_one():
    assert BY_NAME and {path.name for path in STUDIES.iterdir()} == set(BY_NAME)
    assert len({study.claims for study in BY_NAME.values()}) == len(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_study_is_complete(name):
    study = BY_NAME[name]
    assert all(each.strip() for each in (study.title, study.authors, study.source))
    assert type(study.year) is int and name.endswith(str(study.year))
    assert re.fullmatch(r"C\d+", study.claims)
    assert study.notebooks and set(study.notebooks) <= set(NOTEBOOKS)
    assert list((STUDIES / name).glob("*.csv"))
    mine = [each for each in CLAIMS.values() if each.study == name]
    assert {each.notebook for each in mine} == set(study.notebooks)
    assert all(each.id.startswith(f"{study.claims}.") for each in mine)
    assert set(study.central) <= {each.id for each in mine}
    assert [CLAIMS[each].notebook for each in study.central] == study.notebooks  # one of each


# the claims


def test_no_more_claims_than_the_family_is_corrected_for():
    assert 0 < len(CLAIMS) <= FAMILY


def test_the_ids_are_in_order_and_none_is_there_twice():
    numbers = [tuple(map(int, each.id[1:].split("."))) for each in claims()]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_well_formed(name):
    entry = CLAIMS[name]
    assert re.fullmatch(r"C\d+\.\d+", name)
    assert entry.statement.strip() and entry.published.strip()
    meanings = [entry.meaning(verdict) for verdict in ("supported", "contradicted")]
    assert all(re.fullmatch(r"[A-Z0-9].{5,100}\.", each) for each in meanings)
    assert len(set(meanings)) == 2 and entry.meaning("undecided") == ""
    assert entry.comparisons or entry.quantity.strip()
    assert entry.quantity or entry.at_least == 0  # they go together
    for each in (entry, *entry.comparisons):
        assert type(each.at_least) in (int, float)
    for comparison in entry.comparisons:
        points = abs(comparison.at_least)
        assert points == 0 or 0.1 <= points < 100  # a share of 1 would be less
        assert comparison.worse_metric != comparison.metric  # needless
        for arm in (comparison.better, comparison.worse):
            assert arm and all(str(part).strip() for pair in arm.items() for part in pair)


def sides(comparison: Comparison) -> tuple[tuple, tuple]:
    """The coordinates and the metric of the better arm, and of the worse one."""
    metrics = comparison.metric, comparison.worse_metric or comparison.metric
    arms = comparison.better, comparison.worse
    return tuple((frozenset(arm.items()), metric) for arm, metric in zip(arms, metrics))


@pytest.mark.parametrize("name", CLAIMS)
def test_no_comparison_is_of_an_arm_with_itself_and_none_is_there_twice(name):
    compared = [sides(each) for each in CLAIMS[name].comparisons]
    assert all(better != worse for better, worse in compared)
    assert len(set(compared)) == len(compared)


@pytest.mark.parametrize("name", COMPARED)
def test_the_comparisons_of_a_claim_can_all_hold(name):
    """No arm can be better than itself: round no circle of comparisons do the margins add up.

    a over b by x and b over a by y contradict each other where x + y > 0; so do longer circles.
    """
    margins = {sides(each): each.at_least for each in CLAIMS[name].comparisons}
    points = list({end: None for pair in margins for end in pair})
    longest = np.full((len(points), len(points)), -np.inf)
    for (better, worse), margin in margins.items():
        longest[points.index(better), points.index(worse)] = margin
    for by_way_of in range(len(points)):
        through = longest[:, [by_way_of]] + longest[[by_way_of]]
        longest = np.maximum(longest, through)
    assert (longest.diagonal() <= 0).all()


@pytest.mark.parametrize("name", COMPARED)
def test_the_metrics_of_a_claim_are_known(name):
    """On a run on the eight classes, validated after each epoch."""
    classes = list(published("reyes2022", "classes")["class"])
    labels = np.arange(8).repeat(3)
    record = SimpleNamespace(
        test_outputs=lambda: (np.eye(8)[labels], labels),
        classes=classes,
        val_accuracy=1.0,
        history=[{"epoch": epoch, "val_accuracy": 1.0} for epoch in (1, 2)],
        val_correct=lambda: np.ones((2, 5), bool),
    )
    for comparison in CLAIMS[name].comparisons:
        for _, metric in sides(comparison):
            assert contributions(record, metric).mean() == 1  # all is right


TOY = """
["C9.10"]
statement = "Later."
notebook = "99_toy"
published = "1 < 2"
supported = "Do it."
contradicted = "Leave it."
quantity = "slope"
at_least = 0.5

["C9.9"]
statement = "First."
ours = true
notebook = "99_toy"
published = "2 > 1"
supported = "Do it."
contradicted = "Leave it."
comparisons = [
  { better = { target = "kin", lr = 0.1 }, worse = { target = "kin", lr = 0.01 }, at_least = -2 },
  { better = "a", metric = "F1 of cat", worse = "a", worse_metric = "F1 of dog", at_least = 0 },
]
"""


def test_claims_are_read_with_their_study_and_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    (tmp_path / "toy2030").mkdir()
    (tmp_path / "toy2030" / "claims.toml").write_text(TOY, encoding="utf-8")
    monkeypatch.setattr(ledger, "STUDIES", tmp_path)
    first, later = claims()
    assert (first.id, later.id) == ("C9.9", "C9.10") and first == claim("C9.9")
    assert (first.study, first.notebook, first.ours) == ("toy2030", "99_toy", True)
    assert (later.quantity, later.at_least, later.comparisons) == ("slope", 0.5, ())
    assert later.meaning("supported") == "Do it." and later.meaning("contradicted") == "Leave it."
    arms, metrics = first.comparisons
    assert (arms.better, arms.worse) == (
        {"target": "kin", "lr": 0.1},
        {"target": "kin", "lr": 0.01},
    )
    assert (arms.at_least, arms.metric, arms.worse_metric) == (-2, "accuracy", "")
    assert (metrics.better, metrics.metric, metrics.worse_metric) == ("a", "F1 of cat", "F1 of dog")


def test_a_field_that_no_claim_has_is_refused(tmp_path, monkeypatch):
    (tmp_path / "toy2030").mkdir()
    text = TOY.replace("quantity =", "quantities =")
    (tmp_path / "toy2030" / "claims.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(ledger, "STUDIES", tmp_path)
    with pytest.raises(TypeError, match="quantities"):
        claims()


def test_unknown_claim_names_the_nearest():
    with pytest.raises(UnknownName, match=r"'C2\.33'.*C2\.3"):
        claim("C2.33")


@pytest.mark.parametrize(
    "path",
    [ROOT / "README.md", *NOTEBOOKS.values(), *sorted((ROOT / "tlkit").rglob("*.py"))],
    ids=lambda path: path.stem,
)
def test_the_number_of_claims_is_written_nowhere(path):
    """It changes with every study that is added."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
    assert not re.search(r"\b43 claims", text)


# the claims and the notebooks that judge them


@cache
def code(notebook: str) -> str:
    cells = nbformat.read(NOTEBOOKS[notebook], as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def literal(node: ast.AST) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def texts(node: ast.AST | None) -> set[str]:
    """The texts of a literal tuple or list, or of a literal text."""
    value = literal(node) if node is not None else None
    return {
        each for each in ([value] if isinstance(value, str) else value or []) if type(each) is str
    }


def constants(tree: ast.AST) -> dict[str, ast.AST]:
    """What names stand for: `place = ("target", "scheme")`, also within a tuple."""
    values = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            pairs = zip(getattr(node.targets[0], "elts", ()), node.value.elts)
            values |= {one.id: each for one, each in pairs if isinstance(one, ast.Name)}
    return values


@cache
def coordinates(notebook: str) -> set[str]:
    """The names that the notebook's code gives to coordinates, by sweeps or as columns."""
    tree = ast.parse(code(notebook))
    known, names = constants(tree), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            of = getattr(node.func, "attr", "")
            for keyword in node.keywords:
                if keyword.arg == "names" and of in ("sweep", "search"):
                    names |= texts(known.get(getattr(keyword.value, "id", ""), keyword.value))
                elif of == "assign":
                    names.add(keyword.arg)
            if of == "ensemble":
                names |= ENSEMBLE
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            names |= texts(node.targets[0].slice)
    return names


@cache
def assigned(notebook: str) -> set[tuple[str, object]]:
    """The coordinates that the notebook gives to runs after their sweep: `assign(depth="some")`."""
    return {
        (keyword.arg, literal(keyword.value))
        for node in ast.walk(ast.parse(code(notebook)))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "assign"
        for keyword in node.keywords
    }


def test_the_reader_of_notebooks_sees_what_they_do(monkeypatch):
    monkeypatch.setitem(globals(), "code", lambda notebook: notebook)
    source = """
place, number = ("target", "images"), 2
other = ["scheme"]
a = tl.sweep(arms, seeds, names=place)
b = tl.sweep(arms, names=("flow", "batch_norm"))
c = tl.search(arms, space, names=other)
d = a[a["scheme"] == best].assign(depth="some", accuracy=2 * a["accuracy"])
a["own"] = 1
a[["x", "y"]] = 2
plot(names=("no",))
"""
    assert coordinates(source) == {
        "target", "images", "flow", "batch_norm", "scheme", "depth", "accuracy", "own", "x", "y",
    }  # fmt: skip
    assert assigned(source) == {("depth", "some"), ("accuracy", None)}
    assert coordinates("tl.ensemble(a, {}, 2)") == ENSEMBLE


def arms_of(name: str) -> list[dict]:
    return [arm for each in CLAIMS[name].comparisons for arm in (each.better, each.worse)]


@pytest.mark.parametrize("name", COMPARED)
def test_the_notebook_s_code_names_the_coordinates_of_a_claim(name):
    used = {coordinate for arm in arms_of(name) for coordinate in arm}
    assert used <= coordinates(CLAIMS[name].notebook)


@cache
def calls(notebook: str) -> list:
    """The runs of each call of a notebook in the reference."""
    runs = reference("runs", "lab")
    return [rows for _, rows in runs[runs["notebook"] == notebook].groupby("parameters")]


def there(runs, arm: dict, notebook: str) -> bool:
    """Whether the runs have an arm, or the one that it is made of after the sweep."""
    swept = {
        coordinate: value
        for coordinate, value in arm.items()
        if (coordinate, value) not in assigned(notebook)
        and not (coordinate in ENSEMBLE and "role" in arm)
    }
    try:
        return len(select(runs, swept)) > 0
    except UnknownName:
        return False


@pytest.mark.parametrize("name", COMPARED)
def test_the_arms_of_a_claim_are_in_the_reference_of_its_notebook(name):
    """One call has them all. Coordinates that are assigned after the sweep are left out."""
    notebook = CLAIMS[name].notebook
    missing = [
        [arm for arm in arms_of(name) if not there(runs, arm, notebook)] for runs in calls(notebook)
    ]
    assert min(missing, key=len, default=["no runs at all"]) == []


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_judged_by_its_notebook_alone(name):
    quoted = re.compile(rf"{re.escape(name)}(?!\d)")
    assert [each for each in NOTEBOOKS if quoted.search(code(each))] == [CLAIMS[name].notebook]


def cells(row: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", row, re.DOTALL)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_stored_output_of_the_notebook_says_how_a_claim_was_judged(name):
    """A verdict there means that the notebook has all of the claim's arms, and the metrics too."""
    mine = []
    for cell in nbformat.read(NOTEBOOKS[CLAIMS[name].notebook], as_version=4).cells:
        for output in cell.get("outputs", ()):
            if output.get("metadata", {}).get("tlkit") == "verdicts":
                header, *rows = cells(output.data["text/html"], "tr")
                columns = [each.strip() for each in cells(header, "th")]
                mine += [dict(zip(columns, cells(row, "td"))) for row in rows]
    mine = [row for row in mine if row.get("claim") == name]
    assert mine and all(row["verdict"] in VERDICTS for row in mine)
    assert len({row.get("way", "") for row in mine}) == len(mine)
