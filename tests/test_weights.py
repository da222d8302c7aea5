"""Weights files: what other programs store is understood, and nothing in a file is run."""

import os
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from tlkit.ground.names import UnknownName
from tlkit.networks.models import build
from tlkit.networks.weights import read_weights, weights_file

NESTED = ("state_dict", "model_state_dict", "model", "state_dict_ema", "weights", "net")
PREFIXES = ("module.", "model.", "_orig_mod.", "module.model.", "net.backbone.", "")


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return build("test_resnet", 9).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.bin"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(zipped, name, state, tmp_path):
    harm = tmp_path / "harm"
    content = {"state_dict": dict(state), "args": Payload(harm)}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"could run code.*torch\.save\(model\.state_dict\(\)"):
        read_weights(str(tmp_path / name), "test_resnet")
    assert not harm.exists()
    with open(tmp_path / name, "rb") as file:
        torch.load(file, weights_only=False)  # it would have
    assert harm.exists()


def test_a_bare_pickle_runs_no_code(tmp_path):
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Payload(tmp_path / "harm")))
    with pytest.raises(ValueError, match="could run code"):
        read_weights(str(tmp_path / "w.pth"), "test_resnet")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_of_a_wrapper_is_taken_off(prefix, state, tmp_path):
    wrapped = {f"{prefix}{name}": each for name, each in state.items()}
    save_file(wrapped, tmp_path / "w.safetensors")
    torch.save(wrapped, tmp_path / "w.pth")
    torch.save(wrapped | {"loss.weight": torch.ones(3)}, tmp_path / "more.pth")
    for name in ("w.safetensors", "w.pth", *(["more.pth"] if prefix else [])):
        assert same(read_weights(str(tmp_path / name), "test_resnet"), state)


@pytest.mark.parametrize("where", NESTED)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_may_hold_more_than_weights(where, prefix, state, tmp_path):
    model = build("test_resnet", 9)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9).state_dict()
    wrapped = {f"{prefix}{name}": each for name, each in state.items()}
    checkpoint = {"epoch": 3, "optimizer": optimizer, "best": 0.9, where: wrapped}
    torch.save(checkpoint, tmp_path / "w.pth")
    assert same(read_weights(str(tmp_path / "w.pth"), "test_resnet"), state)


def test_two_sets_of_weights_are_an_ambiguity(state, tmp_path):
    both = {f"{who}.{name}": each for who in ("student", "teacher") for name, each in state.items()}
    torch.save(both, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"two sets of weights, 'student\.' and 'teacher\.'"):
        read_weights(str(tmp_path / "w.pth"), "test_resnet")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\xef\xbb\xbf\n <?xml version='1.0'?>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "Git LFS pointer"),
        (b"", "holds no weights"),
        (b"weights", "not a .safetensors or .pth"),
        (b'\x40\0\0\0\0\0\0\0{"a": 1', "damaged"),
        (b"PK\x03\x04 and then nothing", "damaged"),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_what_is_no_weights_file_is_named_as_what_it_is(content, message, suffix, tmp_path):
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"w\.{suffix}.*{message}"):
        read_weights(str(path), "test_resnet")


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, {"a": {}}, torch.ones(2)])
def test_a_file_without_named_tensors_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="no weights by name"):
        read_weights(str(tmp_path / "w.pth"), "test_resnet")


@pytest.mark.parametrize("init", ["pretrained", "w.pth"])
def test_a_mistyped_model_is_an_unknown_model(init):
    with pytest.raises(UnknownName, match=r"unknown model 'resnet8'.*resnet18"):
        read_weights(init, "resnet8")


def test_a_word_is_no_path_and_a_tilde_is_the_home(tmp_path, monkeypatch, state):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("pretrained", "random"):
        torch.save(state, name)
        assert weights_file(name, "test_resnet") is None
        assert weights_file(f"./{name}", "test_resnet") is not None
    assert same(read_weights("~/random", "test_resnet"), state)


def test_reading_pretrained_weights_draws_nothing(monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: torch.nn.Linear(2, 2))
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    read_weights("pretrained", "test_resnet")
    assert torch.equal(torch.rand(3), expected)
