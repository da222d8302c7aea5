"""The doctor names what is missing or damaged, and the forecast scales as work does."""

import json
import shutil

import pytest
import timm

from tlkit import cli
from tlkit.networks.small_xception import WEIGHTS
from tlkit.runner import doctor, forecast
from tlkit.runner.notebooks import available


def refuse(address, timeout):
    raise OSError("no network")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Give the doctor an empty home, no network and weights of the test's own."""
    monkeypatch.setenv("TLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(doctor, "step_seconds", lambda: 0.05)
    monkeypatch.setattr(doctor.socket, "create_connection", refuse)
    files = {}
    for name in timm.list_models("xception_small*", pretrained=True):
        card = timm.get_pretrained_cfg(name)
        files[name] = tmp_path / card.file.rpartition("/")[2]
        for ending in (".safetensors", ".json"):
            shutil.copy(WEIGHTS.parent / files[name].with_suffix(ending).name, tmp_path)
    monkeypatch.setattr(
        doctor.timm, "get_pretrained_cfg", lambda name: type("Card", (), {"file": str(files[name])})
    )
    return files, lambda: dict(doctor.examine())


def test_a_whole_checkout_is_well(machine, tmp_path):
    lines = machine[1]()
    assert lines["weights"] == "5 files of the small Xception, as their cards say"
    assert lines["public data"].startswith("none of fgvc_aircraft")
    assert str(tmp_path / "home" / "images") in lines["image folders"]
    assert lines["network"].startswith("none")
    assert "50 ms" in lines["speed"]


def test_missing_and_damaged_weights_are_named(machine):
    files, examine = machine
    first, second = list(files)[:2]
    files[first].write_bytes(files[first].read_bytes()[:-1])
    assert examine()["weights"].startswith(f"DAMAGED: {first};")
    files[second].unlink()
    assert examine()["weights"].startswith(f"MISSING: {second};")


def test_what_is_there_is_listed(machine, tmp_path):
    (tmp_path / "home" / "images" / "birds").mkdir(parents=True)
    (tmp_path / "home" / "public" / "dtd" / "dtd").mkdir(parents=True)
    lines = machine[1]()
    assert lines["image folders"] == "birds"
    assert lines["public data"].startswith("dtd of ")


def test_too_little_memory_is_said(machine, monkeypatch):
    small = type("Memory", (), {"available": 1e9, "total": 2e9})
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: small)
    assert machine[1]()["memory"].startswith("1.0 of 2.0 GB free, TOO LITTLE")


def test_the_command_prints_every_line(machine, capsys):
    assert cli.main(["doctor"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(machine[1]())


def test_the_forecast_scales_with_the_step_and_the_processes():
    reference = json.loads(forecast.REFERENCE.read_text())
    step = reference["step_seconds"]
    assert forecast.lab_minutes(step, reference["workers"]) == reference["minutes"]
    quicker = forecast.lab_minutes(2 * step, 4 * reference["workers"])
    assert all(
        quicker[name] == pytest.approx(minutes / 2)
        for name, minutes in reference["minutes"].items()
    )
    assert reference["minutes"].keys() == {path.stem for path in available()}


def test_a_step_takes_some_time_and_leaves_the_threads_alone():
    import torch

    threads = torch.get_num_threads()
    assert 0 < forecast.step_seconds() < 60
    assert torch.get_num_threads() == threads
