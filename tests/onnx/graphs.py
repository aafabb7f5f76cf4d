"""Small ONNX files, written node by node: right ones, to be spoilt by tests."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Axis = int | str
OPSET = 18


def decoder(
    num_latents: int = 3,
    shape: tuple[int, ...] = (1, 32, 32),
    last: str = "Sigmoid",
    batch: Axis = "batch",
    scale: float = 0.1,
) -> onnx.ModelProto:
    """Codes to images: one linear layer, and `last` (an operator, or "" for none)."""
    random = np.random.default_rng(1)
    size = int(np.prod(shape))
    weight = random.normal(0, scale, (num_latents, size)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["codes", "weight"], ["flat"])]
    if last:
        nodes.append(helper.make_node(last, ["flat"], ["image"]))
    nodes.append(helper.make_node("Reshape", ["image" if last else "flat", "shape"], ["images"]))
    weights = {"weight": weight, "shape": np.array([-1, *shape])}
    return model(nodes, weights, {"codes": (batch, num_latents)}, {"images": (batch, *shape)})


def encoder(
    sizes: Sequence[int] = (3, 3),
    shape: tuple[int, ...] = (1, 32, 32),
    batch: Axis = "batch",
    scale: float = 0.01,
) -> onnx.ModelProto:
    """Images to linear outputs (B, size), one for each of `sizes`."""
    random = np.random.default_rng(2)
    pixels = int(np.prod(shape))
    nodes = [helper.make_node("Flatten", ["images"], ["flat"])]
    weights = {}
    for i, size in enumerate(sizes):
        weights[f"weight{i}"] = random.normal(0, scale, (pixels, size)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", ["flat", f"weight{i}"], [f"out{i}"]))
    outputs = {f"out{i}": (batch, size) for i, size in enumerate(sizes)}
    return model(nodes, weights, {"images": (batch, *shape)}, outputs)


def model(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    inputs: Mapping[str, Sequence[Axis]],
    outputs: Mapping[str, Sequence[Axis]],
    opset: int = OPSET,
) -> onnx.ModelProto:
    """A graph of float inputs and outputs."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def rename_outputs(model: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    """Give the outputs other names, in their order."""
    for output, name in zip(model.graph.output, names, strict=True):
        for node in model.graph.node:
            for place, made in enumerate(node.output):
                if made == output.name:
                    node.output[place] = name
        output.name = name
    return model


def append(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> onnx.ModelProto:
    """Work on the only output: the first node reads "last", and the last one makes the output."""
    (output,) = model.graph.output
    for node in model.graph.node:
        for place, made in enumerate(node.output):
            if made == output.name:
                node.output[place] = "last"
    model.graph.node.extend(nodes)
    output.name = nodes[-1].output[0]
    output.type.tensor_type.ClearField("shape")
    return model


def labelled(model: onnx.ModelProto, kind: int, shape: Sequence[Axis]) -> onnx.ModelProto:
    """Add an input "label" of this type and shape, whose mean is added to the first input."""
    model.graph.input.append(helper.make_tensor_value_info("label", kind, shape))
    name = model.graph.input[0].name
    nodes = [
        helper.make_node("Cast", ["label"], ["label_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["label_float"], ["label_mean"], keepdims=0),
        helper.make_node("Add", [name, "label_mean"], ["with_label"]),
    ]
    insert(model, nodes, "with_label")
    return model


def insert(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], output: str) -> None:
    """Put nodes before all others, which then read `output` where they read the input."""
    name = model.graph.input[0].name
    for node in model.graph.node:
        for i, read in enumerate(node.input):
            if read == name:
                node.input[i] = output
    later = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *later])


def loop_that_never_ends() -> onnx.NodeProto:
    """`still` = the codes, after more turns than anyone waits for."""
    one = [
        helper.make_tensor_value_info("turn", TensorProto.INT64, []),
        helper.make_tensor_value_info("on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
    ]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["go_on"]),
            helper.make_node("Identity", ["value"], ["next"]),
        ],
        "body",
        one,
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    return helper.make_node("Loop", ["", "yes", "codes"], ["still"], body=body)


def branch() -> onnx.NodeProto:
    """`still` = the codes, by a branch that makes no difference."""
    same = helper.make_graph(
        [helper.make_node("Identity", ["codes"], ["same"])],
        "same",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    return helper.make_node("If", ["yes"], ["still"], then_branch=same, else_branch=same)
