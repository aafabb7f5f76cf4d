"""Checking the graph of an ONNX file without running it.

A graph may consist of plain operators, in one file. It must have no control flow, no randomness,
and no shape that depends on input values. A batch of a given size then always takes the same work,
so one trial holds for all images. Nodes that no output needs, such as the sampling of a code, are
left out before; only what remains is checked and run.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import onnx
from onnx import AttributeProto, NodeProto, TensorProto, ValueInfoProto

from dvae_core.errors import ModelError

MIN_OPSET = 9


@dataclass(frozen=True)
class TensorPort:
    """An input or output of a graph.

    Attributes:
        name: its name.
        shape: size of each axis, None for a free size; None if even the rank is free.
    """

    name: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Graph:
    """A checked graph.

    Attributes:
        content: the file as it may be run: without the nodes that no output needs.
        opset: version of its operators.
        input: its only input besides weights and fixed inputs.
        fixed: names of the fixed inputs that an output needs.
        outputs: the chosen outputs, in the order chosen.
    """

    content: bytes
    opset: int
    input: TensorPort
    fixed: frozenset[str]
    outputs: tuple[TensorPort, ...]


def read_graph(
    content: bytes,
    fixed: Collection[str] = (),
    choose: Callable[[list[str]], Sequence[int]] | None = None,
) -> Graph:
    """Check that the graph of an ONNX file is safe to run.

    Args:
        content: of the file.
        fixed: names of inputs that get the same value in every run.
        choose: places of the outputs to keep, in the order to return them, of the names of all; by
            default, all are kept.

    Raises:
        ModelError: the file is not an ONNX file, or holds something that is not allowed. The
            message continues a sentence about the file.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf raises many kinds
        raise ModelError("it is not an ONNX file, or is truncated") from None
    opset = _opset(model)
    if model.functions:
        raise ModelError(
            f"it defines {len(model.functions)} functions: inline them with "
            f"onnx.inliner.inline_local_functions"
        )
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelError("it has sparse weights: export dense ones")
    reordered = False
    if choose is not None:
        outputs = list(graph.output)
        places = list(choose([value.name for value in outputs]))
        if not places or len(set(places)) < len(places) or max(places) >= len(outputs):
            raise ModelError(
                f"it has {len(outputs)} outputs, but the places {places} are to be read: give "
                f"different places, counted from 0"
            )
        reordered = places != list(range(len(outputs)))
        del graph.output[:]
        graph.output.extend(outputs[place] for place in places)
    if _remove_dead_nodes(graph) or reordered:
        content = model.SerializeToString()
    _check_nodes(graph.node)
    for tensor in [*graph.initializer, *_tensors_of(graph.node)]:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(
                f"its weights {tensor.name[:40]!r} are in another file: export with "
                f"external_data=False"
            )
    weights = {tensor.name for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in weights]
    found_fixed = frozenset(value.name for value in given).intersection(fixed)
    inputs = [value for value in given if value.name not in found_fixed]
    if len(inputs) != 1:
        if not inputs:
            raise ModelError("its outputs do not depend on an input: export the trained network")
        names = ", ".join(value.name[:40] for value in inputs[:5])
        raise ModelError(
            f"it has {len(inputs)} inputs ({names}), but may have one besides fixed "
            f"ones: fix the others, as in --fix {inputs[-1].name[:40]}=3"
        )
    # The value of a fixed input is the same in every run, as that of a weight is.
    _follow_values(graph.node, weights | found_fixed, inputs[0].name)
    ports = tuple(_port(value) for value in graph.output)
    return Graph(content, opset, _port(inputs[0]), found_fixed, ports)


def check_sizes(content: bytes, most_bytes: int) -> None:
    """Raise `ModelError` if a node makes a tensor of more than `most_bytes` for one image or code,
    as far as the shapes are known without running it."""
    model = onnx.load_model_from_string(content)
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and len(dims) and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # onnxruntime says what is wrong with it
        return
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    for value in model.graph.value_info:
        shape = value.type.tensor_type.shape.dim
        size = 4 * prod(dim.dim_value or 1 for dim in shape)
        if size > most_bytes:
            raise ModelError(
                f"its {makers.get(value.name, 'node')} makes {size / 1e6:,.0f} MB for one image or "
                f"code, but {most_bytes / 1e6:,.0f} MB are allowed: export a smaller network"
            )


def _opset(model: onnx.ModelProto) -> int:
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not opsets or not model.graph.node:
        raise ModelError("it is not an ONNX file of a network, or is truncated")
    greatest = onnx.defs.onnx_opset_version()
    if not MIN_OPSET <= opsets[0] <= greatest:
        raise ModelError(
            f"it uses opset {opsets[0]}, but {MIN_OPSET} to {greatest} are supported: "
            f"export with opset_version=18"
        )
    return opsets[0]


def _remove_dead_nodes(graph: onnx.GraphProto) -> bool:
    """Remove nodes, weights and inputs that no output needs; returns whether there were any."""
    makers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.output:
            makers.setdefault(name, []).append(node)
    needed: set[str] = set()
    waiting = [value.name for value in graph.output]
    while waiting:
        name = waiting.pop()
        if name and name not in needed:
            needed.add(name)
            waiting += [read for node in makers.get(name, ()) for read in node.input]
    removed = [
        _keep(graph.node, lambda node: not needed.isdisjoint(node.output)),
        _keep(graph.initializer, lambda tensor: tensor.name in needed),
        _keep(graph.input, lambda value: value.name in needed),
    ]
    if any(removed):
        del graph.value_info[:]  # may describe what is removed; onnxruntime infers the shapes
    return any(removed)


def _keep(items: Any, is_needed: Callable[[Any], bool]) -> bool:
    """Remove all other entries of a protobuf list; returns whether there were any."""
    dead = [place for place, item in enumerate(items) if not is_needed(item)]
    for place in reversed(dead):
        del items[place]
    return bool(dead)


def _check_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        if node.domain not in ("", "ai.onnx"):
            raise ModelError(
                f"it uses {node.op_type[:40]!r} of the operator set {node.domain[:40]!r}: export "
                f"it with standard ONNX operators only"
            )
        if node.op_type in CONTROL_FLOW:
            raise ModelError(
                f"it has control flow ({node.op_type}): export the network without branches and "
                f"loops"
            )
        if node.op_type in RANDOM:
            raise ModelError(
                f"it draws random numbers ({node.op_type}): export the parameters of the latents, "
                f"not a sample"
            )
        if node.op_type not in PLAIN:
            raise ModelError(
                f"it uses the operator {node.op_type[:40]!r}, which is not allowed: use plain ones "
                f"(convolutions, matrix products, activations, reshapes)"
            )
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ModelError(f"it hides a graph in {node.op_type}: export the plain network")


def _tensors_of(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    attributes: Iterator[AttributeProto] = (a for node in nodes for a in node.attribute)
    for attribute in attributes:
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise ModelError("it has sparse constants: export dense ones")
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors


def _follow_values(nodes: Iterable[NodeProto], weights: set[str], start: str) -> None:
    """Raise `ModelError` if a shape depends on the values of the input `start`."""
    known = weights | {start, ""}  # "" is an omitted input
    depending = {start}
    for node in nodes:
        if not known.issuperset(node.input):
            raise ModelError("its nodes are not in the order of execution: export it again")
        for place in SHAPE_INPUTS.get(node.op_type, range(0)):
            if place < len(node.input) and node.input[place] in depending:
                raise ModelError(
                    f"the output shape of {node.op_type} depends on input values: export a network "
                    f"whose shapes are fixed except for the batch"
                )
        outputs = {name for name in node.output if name}
        known |= outputs
        # Shapes do not depend on values, so neither does the result of Shape and Size.
        if node.op_type not in ("Shape", "Size") and depending.intersection(node.input):
            depending |= outputs


def _port(value: ValueInfoProto) -> TensorPort:
    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        known = TensorProto.DataType.keys()
        kind = known[tensor.elem_type] if 0 <= tensor.elem_type < len(known) else "unknown"
        raise ModelError(
            f"{value.name[:40]!r} has type {kind.lower()}, but needs float (32 bits): export the "
            f"model with .float()"
        )
    if not tensor.HasField("shape"):
        return TensorPort(value.name, None)
    dims = tensor.shape.dim
    return TensorPort(
        value.name,
        tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims),
    )


# Plain operators of image networks. Their output shape depends on the shapes of the inputs only, or
# on the values of the inputs in `SHAPE_INPUTS`.
# fmt: off
PLAIN = frozenset((
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh",
    "Attention", "AveragePool", "BatchNormalization", "BitShift", "BitwiseAnd", "BitwiseNot",
    "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "Cosh", "CumSum", "DepthToSpace",
    "DequantizeLinear", "Div", "Dropout", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand",
    "EyeLike", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm",
    "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "IsInf", "IsNaN",
    "LRN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax",
    "LpNormalization", "LpPool", "MatMul", "Max", "MaxPool", "Mean", "MeanVarianceNormalization",
    "Min", "Mish", "Mod", "Mul", "Neg", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow",
    "QuantizeLinear", "RMSNormalization", "Range", "Reciprocal", "ReduceL1", "ReduceL2",
    "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "ScatterElements",
    "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus",
    "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tan", "Tanh",
    "ThresholdedRelu", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where",
    "Xor",
))
# fmt: on

# Operators that could make a graph run forever, or differently each time.
CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
RANDOM = frozenset(
    f"{name}{like}" for name in ("RandomNormal", "RandomUniform") for like in ("", "Like")
) | {"Bernoulli", "Multinomial"}
# Operators with inputs whose values decide the output shape, with the places of these inputs.
SHAPE_INPUTS: dict[str, range] = {
    **{name: range(1, 2) for name in PLAIN if name.startswith("Reduce")},
    **dict.fromkeys(
        ("Expand", "OneHot", "Reshape", "Split", "Squeeze", "Unsqueeze", "Upsample"), range(1, 2)
    ),
    "ConstantOfShape": range(0, 1),
    "Pad": range(1, 4),
    "Range": range(0, 3),
    "Resize": range(1, 4),
    "Slice": range(1, 5),
    "Tile": range(1, 3),
    "TopK": range(1, 2),
}
