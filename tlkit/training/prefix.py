"""Split a model at its first trainable parameter, to compute the frozen prefix only once."""

from collections.abc import Sequence

import torch
from timm.layers import DropPath, is_notrace_module
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError


class _Tracer(fx.Tracer):
    """Keep each module with state as one node, so that its `training` flag still acts."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        owns = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        return bool(owns) or is_notrace_module(module) or super().is_leaf_module(module, name)


def split(model: nn.Module, example: Tensor) -> tuple[nn.Module, nn.Module] | None:
    """Return `(prefix, suffix)` with `suffix(*prefix(x)) == model(x)`; they share its tensors.

    The prefix depends neither on a trainable parameter nor on chance, so its outputs can be
    computed once. Return None if nothing is frozen, if the model cannot be traced, or if the two
    parts do not give exactly what the model gives for `example` [n, 3, size, size].
    """
    if all(parameter.requires_grad for parameter in model.parameters()):
        return None
    model.train()
    try:
        graph = _Tracer().trace(model)
    except (TraceError, RuntimeError, TypeError):
        return None
    suffix_nodes = _suffix_nodes(model, graph)
    early = [node for node in graph.nodes if node not in suffix_nodes]
    if not any(node.op == "call_module" for node in early):
        return None
    # Both parts have the attributes of the model, and the arguments that keep their defaults.
    constants = [n for n in early if n.op == "get_attr" or (n.op == "placeholder" and n.args)]
    shared = [n for n in early if n not in constants and not suffix_nodes.isdisjoint(n.users)]
    prefix = _part(model, [], early, shared)
    suffix = _part(model, shared, [*constants, *(n for n in graph.nodes if n in suffix_nodes)])
    model.eval()
    with torch.inference_mode():
        activations = prefix(example)
        if not all(torch.is_tensor(a) and len(a) == len(example) for a in activations):
            return None  # no rows that a cache could store
        same = torch.equal(suffix(*activations), model(example))
    return (prefix, suffix) if same else None


def _suffix_nodes(model: nn.Module, graph: fx.Graph) -> set[fx.Node]:
    late: set[fx.Node] = set()
    for node in graph.nodes:
        if _changes(model, node) or not late.isdisjoint(node.all_input_nodes):
            late.add(node)
    # A node without state, such as a ReLU, joins the suffix if its input is stored anyway.
    for node in reversed(graph.nodes):
        stateless = node.op != "call_module" or not model.get_submodule(node.target).state_dict()
        inputs_stored = all(not late.isdisjoint(parent.users) for parent in node.all_input_nodes)
        movable = node.op.startswith("call") and stateless and inputs_stored
        if movable and late.issuperset(node.users):
            late.add(node)
    return late


def _changes(model: nn.Module, node: fx.Node) -> bool:
    """Return whether the node's own result changes while the model trains."""
    if node.op == "get_attr":
        path, _, name = node.target.rpartition(".")
        return getattr(model.get_submodule(path), name).requires_grad
    if node.op != "call_module":
        return "dropout" in str(node.target)
    module = model.get_submodule(node.target)
    random = isinstance(module, (nn.Dropout, DropPath)) and module.training
    drifts = module.training and any(True for _ in module.buffers())
    return random or drifts or any(p.requires_grad for p in module.parameters())


def _part(
    model: nn.Module, inputs: list[fx.Node], nodes: list[fx.Node], outputs: Sequence[fx.Node] = ()
) -> fx.GraphModule:
    """Return a module that computes `nodes` and gives a tuple of `outputs`, or the model's own."""
    part = fx.Graph()
    copies = {node: part.placeholder(node.name) for node in inputs}
    for node in nodes:
        copies[node] = part.node_copy(node, copies.__getitem__)
    if outputs:
        part.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule(model, part)
