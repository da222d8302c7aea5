"""Compute a frozen prefix once: split a model where its first trainable parameter acts."""

import torch
from timm.layers import DropPath, is_notrace_module
from torch import fx, nn
from torch.fx.proxy import TraceError


class _Tracer(fx.Tracer):
    """Keeps every module that owns state whole: its `training` flag must not be traced away."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        owns = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        return bool(owns) or is_notrace_module(module) or super().is_leaf_module(module, name)


def split(model: nn.Module, example: torch.Tensor) -> tuple[nn.Module, nn.Module] | None:
    """`(prefix, suffix)` with `suffix(*prefix(x)) == model(x)`, sharing the model's tensors.

    The prefix is all that depends neither on a trainable parameter nor on chance, so its outputs
    may be computed once. None where nothing is frozen, the model cannot be traced, or the two
    parts do not give exactly what the model gives for `example` [n, 3, size, size].
    """
    if all(parameter.requires_grad for parameter in model.parameters()):
        return None
    model.train()
    try:
        graph = _Tracer().trace(model)
    except (TraceError, RuntimeError, TypeError):
        return None
    late: set[fx.Node] = set()
    for node in graph.nodes:
        if _changes(model, node) or not late.isdisjoint(node.all_input_nodes):
            late.add(node)
    _hand_over(model, graph, late)
    if not any(node.op == "call_module" and node not in late for node in graph.nodes):
        return None
    crossing = [
        node for node in graph.nodes
        if node not in late and not _constant(node) and not late.isdisjoint(node.users)
    ]
    constants = [node for node in graph.nodes if _constant(node) and node not in late]
    early = [node for node in graph.nodes if node not in late]
    prefix = _part(model, [], early, crossing)
    suffix = _part(model, crossing, [*constants, *(n for n in graph.nodes if n in late)], [])
    model.eval()
    with torch.inference_mode():
        activations = prefix(example)
        if not all(torch.is_tensor(a) and len(a) == len(example) for a in activations):
            return None  # not rows of a cache
        same = torch.equal(suffix(*activations), model(example))
    return (prefix, suffix) if same else None


def _constant(node: fx.Node) -> bool:
    """An attribute of the model, or an argument that keeps its default: both parts have it."""
    return node.op == "get_attr" or node.op == "placeholder" and bool(node.args)


def _part(
    model: nn.Module, inputs: list[fx.Node], nodes: list[fx.Node], outputs: list[fx.Node]
) -> fx.GraphModule:
    """A module that computes `nodes` from `inputs`; its outputs are a tuple, or `nodes`' own."""
    part = fx.Graph()
    copies = {node: part.placeholder(node.name) for node in inputs}
    for node in nodes:
        copies[node] = part.node_copy(node, copies.__getitem__)
    if outputs:
        part.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule(model, part)


def _changes(model: nn.Module, node: fx.Node) -> bool:
    """Whether the node's own result changes while the model trains."""
    if node.op == "get_attr":
        path, _, name = node.target.rpartition(".")
        return getattr(model.get_submodule(path), name).requires_grad
    if node.op != "call_module":
        return "dropout" in str(node.target)
    module = model.get_submodule(node.target)
    chance = isinstance(module, (nn.Dropout, DropPath)) and module.training
    drifts = module.training and any(True for _ in module.buffers())
    return chance or drifts or any(p.requires_grad for p in module.parameters())


def _hand_over(model: nn.Module, graph: fx.Graph, late: set[fx.Node]) -> None:
    """Leave to the suffix what has no state and would be cached beside its own input (a ReLU)."""
    for node in reversed(graph.nodes):
        stateless = node.op != "call_module" or not model.get_submodule(node.target).state_dict()
        inputs_cross = all(not late.isdisjoint(parent.users) for parent in node.all_input_nodes)
        if node.op.startswith("call") and stateless and inputs_cross:
            if late.issuperset(node.users):
                late.add(node)
