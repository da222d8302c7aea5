"""Modules partition a model, transfer copies exactly them, and frozen means frozen."""

import copy

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.layers import BatchNormAct2d
from torch import nn

from tlkit.ground.names import UnknownName
from tlkit.networks.models import build, read_weights, with_source_head
from tlkit.networks.modules import Modules, modules
from tlkit.networks.small_xception import WEIGHTS
from tlkit.networks.transfer import freeze, transfer

SIZES = {  # architecture: pixels
    "xception_small": 32,
    "test_resnet": 32,
    "test_efficientnet": 32,
    "test_convnext": 32,
    "mobilenetv3_small_050": 32,
    "resnet18": 32,
    "test_vit": 160,
    "densenet121": 32,
}
FROZEN = [
    (name, share)
    for name in (
        "xception_small",
        "test_resnet",
        "test_efficientnet",
        "test_convnext",
        "mobilenetv3_small_050",
        "test_vit",
    )
    for share in (0.3, 1.0)
] + [("resnet18", 0.5), ("xception_small", 0.0)]


@pytest.fixture(scope="module")
def built():
    """Each architecture once, in eval mode; tests that change a model take a deep copy."""
    made = {}

    def get(name):
        if name not in made:
            torch.manual_seed(0)
            made[name] = build(name, 3).eval()
        return made[name]

    return get


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def split_names(model, count):
    """The state names of the first `count` modules, and all others."""
    states = list(modules(model).states.values())
    first = {name for names in states[:count] for name in names}
    return first, set(model.state_dict()) - first


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def train_steps(model, size, steps=3):
    """Ordinary training that does all it can to move what is frozen."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)
    for _ in range(steps):
        model.eval()
        model.train()
        images, labels = torch.randn(4, 3, size, size), torch.randint(3, (4,))
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("name", SIZES)
def test_modules_partition_all_state_but_the_head(name, built):
    model = built(name)
    states = [tensor for names in modules(model).states.values() for tensor in names]
    head = {
        f"{path}.{tensor}"
        for path in ("fc", "classifier", "head", "head.fc")
        if isinstance(layer := dict(model.named_modules()).get(path), nn.Linear)
        for tensor in layer.state_dict()
    }
    assert len(head) == 2
    assert len(states) == len(set(states))
    assert set(states) == set(model.state_dict()) - head


@pytest.mark.parametrize("name", SIZES)
def test_modules_act_in_their_order(name, built):
    """Oracle: the order in which the layers are really called in a forward pass."""
    model = copy.deepcopy(built(name))
    number = {
        tensor: i for i, names in enumerate(modules(model).states.values()) for tensor in names
    }
    called = []
    for path, layer in model.named_modules():
        own = [f"{path}.{tensor}" for tensor, _ in layer.named_parameters(recurse=False)]
        if own and own[0] in number:
            layer.register_forward_hook(
                lambda *_, numbers=[number[tensor] for tensor in own]: called.extend(numbers)
            )
    with torch.no_grad():
        model(torch.randn(1, 3, SIZES[name], SIZES[name]))
    assert called == sorted(called)
    assert set(called) == set(number.values())


@pytest.mark.parametrize("name", SIZES)
def test_a_module_is_named_by_a_path_to_its_own_tensors_only(name, built):
    for path, names in modules(built(name)).states.items():
        body = modules(built(name)).first("all")
        under = {tensor for tensor in body if f"{tensor}.".startswith(f"{path}.")}
        assert under and under <= set(names)


@pytest.mark.parametrize("name", SIZES)
def test_every_state_tensor_has_the_number_of_its_module_and_the_head_none(name, built):
    model = built(name)
    row = modules(model)
    numbers = row.numbers()
    assert all(numbers[n] == i for i, names in enumerate(row.states.values()) for n in names)
    head = model.state_dict().keys() - numbers.keys()
    assert len(head) == 2 and numbers.keys() < model.state_dict().keys()
    assert set(numbers.values()) == set(range(len(row)))


@pytest.mark.parametrize("name", ["xception_small", "test_resnet", "test_vit"])
def test_the_first_modules_are_those_with_the_lowest_numbers(name, built):
    row = modules(built(name))
    for count, last in enumerate(row.states, 1):
        lowest = [tensor for tensor, number in row.numbers().items() if number < count]
        assert row.first(count) == row.first(last) == lowest
    assert row.first(0) == row.first("none") == []
    assert row.first(len(row)) == row.first("all") == list(row.numbers())


def test_a_row_of_modules_by_hand():
    row = Modules({"stem": ["stem.w", "stem.b"], "a": ["a.w"], "all": ["z.w"]}, {"entry": 2})
    assert len(row) == 3
    assert [row.count(until) for until in (0, 2, "stem", "a", "entry")] == [0, 2, 1, 2, 2]
    assert row.count("all") == 3  # whatever a module is called
    assert row.first("entry") == ["stem.w", "stem.b", "a.w"]
    assert row.numbers() == {"stem.w": 0, "stem.b": 0, "a.w": 1, "z.w": 2}
    with pytest.raises(UnknownName, match="stem"):
        row.first("stm")
    with pytest.raises(ValueError, match="0 to 3"):
        row.first(4)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_modules_do_not_depend_on_the_number_of_classes(name, built):
    with_head, without = built(name), timm.create_model(name, num_classes=0)
    assert modules(with_head).states == modules(without).states


def test_small_xception_has_14_modules_and_36_convolutions(built):
    model = built("xception_small")
    # A separable convolution counts once, by its 3x3 part; skip projections are 1x1.
    spatial = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(spatial) == 36
    names = ["conv1", *(f"block{i}" for i in range(1, 13)), "conv3"]
    assert list(modules(model).states) == names


@pytest.mark.parametrize("size", [32, 48, 65])
def test_small_xception_is_a_timm_model_like_any_other(size):
    model = timm.create_model("xception_small", num_classes=7).eval()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert model(images).shape == (2, 7)
        model.reset_classifier(4)
        assert model(images).shape == (2, 4)
        model.reset_classifier(0)
        assert model(images).shape == (2, model.num_features)
    assert timm.create_model("xception_small", in_chans=1).conv1.weight.shape[1] == 1


def test_small_xception_starts_with_activations_of_order_one(built):
    torch.manual_seed(0)
    model = copy.deepcopy(built("xception_small")).train()
    features = model.forward_features(torch.randn(8, 3, 48, 48))
    assert 0.1 < features.std() < 10


@pytest.mark.skipif(not WEIGHTS.exists(), reason="the weights have not been trained")
def test_the_shipped_weights_load_through_timm():
    model = timm.create_model("xception_small", pretrained=True)
    again = read_weights("pretrained", "xception_small")
    random = timm.create_model("xception_small").state_dict()
    state = model.state_dict()
    assert model.num_classes == 200
    assert all(torch.equal(state[name], again[name]) for name in again)
    assert not torch.equal(state["conv1.weight"], random["conv1.weight"])
    other = timm.create_model("xception_small", pretrained=True, num_classes=3).state_dict()
    assert all(torch.equal(state[name], other[name]) for name in again if name[:3] != "fc.")


@pytest.mark.parametrize(
    "until, count",
    [
        (0, 0),
        (3, 3),
        (14, 14),
        ("none", 0),
        ("all", 14),
        ("entry", 4),
        ("middle", 12),
        ("conv1", 1),
        ("block3", 4),
        ("block11", 12),
        ("conv3", 14),
    ],
)
def test_modules_are_counted_by_number_name_or_flow(until, count, built):
    assert modules(built("xception_small")).count(until) == count


def test_flows_end_where_chollet_ends_them(built):
    """The middle flow is the eight blocks of one width without a stride or a projection."""
    model = built("xception_small")
    names = list(modules(model).states)
    entry, middle = (modules(model).count(flow) for flow in ("entry", "middle"))
    blocks = [model.get_submodule(name) for name in names[entry:middle]]
    assert len(blocks) == 8 and all(block.skip is None for block in blocks)
    assert model.get_submodule(names[entry - 1]).skip is not None
    assert model.get_submodule(names[middle]).skip is not None


def test_only_an_xception_has_flows(built):
    with pytest.raises(UnknownName):
        modules(built("test_resnet")).count("entry")
    assert modules(built("test_resnet")).count("layer1") == 2


@pytest.mark.parametrize("until", [-1, 15])
def test_a_number_out_of_range_is_refused(until, built):
    with pytest.raises(ValueError, match="0 to 14"):
        modules(built("xception_small")).count(until)


def test_unknown_names_are_refused_and_near_ones_named(built):
    with pytest.raises(UnknownName, match="xception_small"):
        build("xception_smal", 3)
    with pytest.raises(UnknownName, match="block5"):
        modules(built("xception_small")).count("blok5")


def test_a_timm_tag_is_part_of_a_model_name():
    model = build("test_resnet.r160_in1k", 3).eval()
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize("name", ["xception_small", "test_vit"])
def test_a_seed_gives_the_same_weights_again(name):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build(name, 3).state_dict())
    assert not moved(*states)


@pytest.mark.parametrize("name", ["xception_small", "test_resnet", "test_vit"])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_transfer_copies_the_first_modules_and_nothing_else(name, share, built):
    torch.manual_seed(9)
    source = {n: torch.randn(t.shape).to(t.dtype) for n, t in built(name).state_dict().items()}
    model = copy.deepcopy(built(name))
    before = snapshot(model)
    count = int(share * len(modules(model).states))
    first, rest = split_names(model, count)
    transfer(model, source, modules(model).first(count))
    after = model.state_dict()
    assert all(torch.equal(after[n], source[n]) for n in first)
    assert all(torch.equal(after[n], before[n]) for n in rest)


def test_transfer_copies_rather_than_shares(built):
    model, source = copy.deepcopy(built("test_resnet")), snapshot(built("test_resnet"))
    original = {name: tensor.clone() for name, tensor in source.items()}
    transfer(model, source, modules(model).first(5))
    train_steps(model, 32)
    assert not moved(original, source)


def test_transfer_takes_partial_weights_for_what_it_transfers(built):
    model = copy.deepcopy(built("test_resnet"))
    first, _ = split_names(model, 2)
    partial = {n: t + 1 for n, t in built("test_resnet").state_dict().items() if n in first}
    transfer(model, partial, modules(model).first(2))
    assert moved(snapshot(built("test_resnet")), model.state_dict()) == first


def test_transfer_ignores_a_head_of_other_classes(built):
    source = build("test_resnet", 9).state_dict()
    model = copy.deepcopy(built("test_resnet"))
    transfer(model, source, modules(model).first(5))
    assert torch.equal(model.fc.weight, built("test_resnet").fc.weight)


@pytest.mark.parametrize("harm", ["missing", "shape"])
def test_weights_that_do_not_fit_are_refused_and_change_nothing(harm, built):
    model = copy.deepcopy(built("test_resnet"))
    before = snapshot(model)
    weights = {name: tensor + 1 for name, tensor in before.items()}
    last = modules(model).states["layer1"][0]
    weights[last] = weights[last][:1]
    if harm == "missing":
        del weights[last]
    with pytest.raises(ValueError, match=last):
        transfer(model, weights, modules(model).first(2))
    assert not moved(before, model.state_dict())
    transfer(model, weights, modules(model).first(1))  # what is not transferred may be missing


def test_weights_without_the_step_counter_of_batch_norm_are_whole(built):
    model = copy.deepcopy(built("test_resnet"))
    weights = {n: t for n, t in snapshot(model).items() if not n.endswith("batches_tracked")}
    transfer(model, weights, modules(model).first(5))


@pytest.mark.parametrize("name, share", FROZEN)
def test_frozen_means_frozen_and_the_rest_is_trained(name, share, built):
    model = copy.deepcopy(built(name))
    count = round(share * len(modules(model).states))
    first, rest = split_names(model, count)
    before = snapshot(model)
    freeze(model, modules(model).first(count))
    train_steps(model, SIZES[name])
    assert moved(before, model.state_dict()) == rest
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == {
        n for n, _ in model.named_parameters() if n in first
    }


@pytest.mark.parametrize("name", ["xception_small", "test_resnet", "test_efficientnet"])
def test_drifting_batch_norm_moves_its_statistics_but_no_weight(name, built):
    model = copy.deepcopy(built(name))
    first, rest = split_names(model, 3)
    before = snapshot(model)
    freeze(model, modules(model).first(3), batch_norm="drift")
    train_steps(model, SIZES[name])
    buffers = {n for n, _ in model.named_buffers()}
    assert moved(before, model.state_dict()) == rest | (first & buffers)


@pytest.mark.parametrize("name", ["xception_small", "test_efficientnet"])
def test_frozen_activations_are_those_of_eval_mode(name, built):
    """The frozen part gives in training what it gives in evaluation, whatever the batch."""
    model = copy.deepcopy(built(name))
    freeze(model, modules(model).first(2))
    inputs, seen = torch.randn(4, 3, 32, 32), []
    last = model.get_submodule(list(modules(model).states)[1])
    last.register_forward_hook(lambda _, __, output: seen.append(output.detach().clone()))
    with torch.no_grad():
        for mode in (False, True):
            model.train(mode)
            model(inputs)
    assert torch.equal(*seen)


def test_a_deep_copy_of_a_frozen_model_is_frozen_on_its_own(built):
    original = copy.deepcopy(built("test_resnet"))
    freeze(original, modules(original).first(3))
    model = copy.deepcopy(original)
    _, rest = split_names(model, 3)
    before = snapshot(model)
    train_steps(model, 32)
    assert moved(before, model.state_dict()) == rest
    assert not moved(before, original.state_dict())
    assert not any(
        m.training for m in list(model.layer1.modules()) if isinstance(m, nn.BatchNorm2d)
    )


def test_freezing_less_afterwards_gives_the_rest_its_training_mode_back(built):
    model = copy.deepcopy(built("test_resnet"))
    freeze(model, modules(model).first(4))
    freeze(model, modules(model).first(0))
    before = snapshot(model)
    train_steps(model, 32)
    assert moved(before, model.state_dict()) == set(before)


def test_a_frozen_model_survives_being_saved_whole(built, tmp_path):
    model = copy.deepcopy(built("test_resnet"))
    freeze(model, modules(model).first(3))
    torch.save(model, tmp_path / "model.pth")
    again = torch.load(tmp_path / "model.pth", weights_only=False)
    again.train()
    layers = [m for m in again.layer1.modules() if isinstance(m, (nn.BatchNorm2d, BatchNormAct2d))]
    assert layers and not any(layer.training for layer in layers)


def test_weights_go_through_a_file_and_back(built, tmp_path):
    state = snapshot(built("test_resnet"))
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        read = read_weights(str(tmp_path / name), "test_resnet")
        assert read.keys() == state.keys() and not moved(state, read)


@pytest.mark.parametrize("name", ["xception_small", "test_resnet.r160_in1k", "test_vit"])
def test_weights_come_with_the_head_of_their_source(name, built):
    torch.manual_seed(5)
    state = build(name, 9).state_dict()
    model = with_source_head(name, state)
    assert model.num_classes == 9 and not moved(state, model.state_dict())


def test_weights_without_the_head_of_their_source_are_refused(built):
    state = {n: t for n, t in snapshot(built("test_resnet")).items() if not n.startswith("fc.")}
    with pytest.raises(ValueError, match=r"without.*fc\.weight"):
        with_source_head("test_resnet", state)


@pytest.mark.parametrize("init", ["pretraned", "no/such/file.safetensors", "."])
def test_missing_weights_are_refused_with_the_remedy(init, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="'random', 'pretrained', a file or a Run"):
        read_weights(init, "test_resnet")


@pytest.mark.parametrize("problem", [OSError("offline"), RuntimeError("none exist")])
def test_pretrained_weights_out_of_reach_are_refused_with_the_remedy(problem, monkeypatch):
    def fail(*_, **__):
        raise problem

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(FileNotFoundError, match=r"(?s)test_resnet.*network.*init=<path"):
        read_weights("pretrained", "test_resnet")


@pytest.mark.parametrize("until", [True, None, 1.0, [1], b"conv1"])
def test_what_counts_no_modules_is_refused(until, built):
    with pytest.raises(ValueError, match="a number of modules"):
        modules(built("test_resnet")).count(until)


def test_a_number_of_numpy_counts_modules(built):
    assert modules(built("test_resnet")).count(np.int64(2)) == 2


@pytest.mark.parametrize("names", [-1, "conv1.weight", None, 3])
def test_names_of_tensors_are_a_list(names, built):
    model = copy.deepcopy(built("test_resnet"))
    for use in (lambda: freeze(model, names), lambda: transfer(model, model.state_dict(), names)):
        with pytest.raises(ValueError, match="give a list of names"):
            use()


def test_a_mistyped_tensor_or_mode_is_refused_and_freezes_nothing(built):
    model = copy.deepcopy(built("test_resnet"))
    with pytest.raises(UnknownName, match=r"conv1\.0\.weight"):
        freeze(model, ["conv1.weigth"])
    with pytest.raises(UnknownName, match=r"conv1\.0\.weight"):
        transfer(model, model.state_dict(), ["conv1.weigth"])
    for mode in ("Drift", "", True):
        with pytest.raises(UnknownName, match="batch_norm"):
            freeze(model, modules(model).first(1), mode)
    assert all(each.requires_grad for each in model.parameters())
