"""Looking at an ONNX file without running it: what may be in one, and what may not.

Taken are plain graphs of plain operators in one file. Two rules make what was tried once hold for
every image: there is no control flow and no chance, and no shape inside the graph depends on the
values that come in. So with the same number of images it always does the same work.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx
from onnx import AttributeProto, NodeProto, TensorProto, ValueInfoProto

from dvae_core.errors import ModelError

MIN_OPSET = 9


@dataclass(frozen=True)
class TensorPort:
    """An input or output of a graph.

    Attributes:
        name: of it.
        shape: one entry an axis, None where it is not fixed; None where even the rank is open.
    """

    name: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Graph:
    """What a graph takes and gives.

    Attributes:
        opset: version of its operators.
        input: the one that is no weight.
        outputs: all.
    """

    opset: int
    input: TensorPort
    outputs: tuple[TensorPort, ...]


def read_graph(content: bytes) -> Graph:
    """What the graph of an ONNX file takes and gives, once nothing speaks against running it.

    Raises:
        ModelError: it is no such file, or there is something in it that is not taken. The message
            is the end of a sentence about the file.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # of protobuf, which is another library's own affair
        raise ModelError("it is no ONNX file, or was cut off") from None
    opset = _opset(model)
    if model.functions:
        raise ModelError(
            f"it defines {len(model.functions)} functions of its own: inline them with "
            f"onnx.inliner.inline_local_functions"
        )
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelError("it has sparse weights: export dense ones")
    _check_nodes(graph.node)
    for tensor in [*graph.initializer, *_tensors_of(graph.node)]:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(
                f"its weights {tensor.name[:40]!r} lie in another file: export with "
                f"external_data=False, so that one file holds all"
            )
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name[:40] for value in inputs[:5]) or "none"
        raise ModelError(f"it has {len(inputs)} inputs ({names}), but needs one")
    _follow_values(graph.node, weights, inputs[0].name)
    return Graph(opset, _port(inputs[0]), tuple(_port(value) for value in graph.output))


def _opset(model: onnx.ModelProto) -> int:
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not opsets or not model.graph.node:
        raise ModelError("it is no ONNX file of a network, or was cut off")
    greatest = onnx.defs.onnx_opset_version()
    if not MIN_OPSET <= opsets[0] <= greatest:
        raise ModelError(
            f"it has operators of opset {opsets[0]}, but {MIN_OPSET} to {greatest} are read: "
            f"export with opset_version=18"
        )
    return opsets[0]


def _check_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        if node.domain not in ("", "ai.onnx"):
            raise ModelError(
                f"it uses {node.op_type[:40]!r} of the operator set {node.domain[:40]!r}: only "
                f"those of ONNX itself are taken"
            )
        if node.op_type in CONTROL_FLOW:
            raise ModelError(
                f"it has control flow ({node.op_type}): export the plain network without branches "
                f"and loops"
            )
        if node.op_type in RANDOM:
            raise ModelError(
                f"it draws random numbers ({node.op_type}): export the parameters of the "
                "posterior, not a sample of it"
            )
        if node.op_type not in PLAIN:
            raise ModelError(
                f"it uses the operator {node.op_type[:40]!r}, which is not taken: write it with "
                f"plain ones (convolutions, matrix products, activations, reshapes)"
            )
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ModelError(f"it hides a graph within {node.op_type}: export the plain network")


def _tensors_of(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    attributes: Iterator[AttributeProto] = (a for node in nodes for a in node.attribute)
    for attribute in attributes:
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise ModelError("it has sparse constants: export dense ones")
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors


def _follow_values(nodes: Iterable[NodeProto], weights: set[str], start: str) -> None:
    """Go through the graph from its input on: no shape may depend on the values that come in."""
    known = weights | {start, ""}  # "" stands for an input that is left out
    depending = {start}
    for node in nodes:
        if not known.issuperset(node.input):
            raise ModelError("its nodes do not stand in the order in which they are to run")
        for place in SHAPE_INPUTS.get(node.op_type, range(0)):
            if place < len(node.input) and node.input[place] in depending:
                raise ModelError(
                    f"the shape that {node.op_type} makes depends on the values that come in: "
                    f"export a network whose shapes are fixed but for the batch"
                )
        outputs = {name for name in node.output if name}
        known |= outputs
        # Shapes do not depend on values, so what is said of shapes does not either.
        if node.op_type not in ("Shape", "Size") and depending.intersection(node.input):
            depending |= outputs


def _port(value: ValueInfoProto) -> TensorPort:
    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        known = TensorProto.DataType.keys()
        kind = known[tensor.elem_type] if 0 <= tensor.elem_type < len(known) else "unknown"
        raise ModelError(
            f"{value.name[:40]!r} is of type {kind.lower()}, but needs float (32 bits): export "
            f"the model with .float()"
        )
    if not tensor.HasField("shape"):
        return TensorPort(value.name, None)
    dims = tensor.shape.dim
    return TensorPort(
        value.name,
        tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims),
    )


# Plain ones, which networks of images are made of. What comes out of them is of a shape that the
# shapes of the inputs decide, or the values of the inputs in `SHAPE_INPUTS`.
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
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "Selu", "Shape",
    "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign",
    "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tan", "Tanh",
    "ThresholdedRelu", "Tile", "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where", "Xor",
))
# fmt: on

# What would make a graph run on without end, or differently each time.
CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
# Operators of which some inputs, counted from 0, decide the shape of what comes out.
SHAPE_INPUTS: dict[str, range] = {
    "ConstantOfShape": range(0, 1),
    "Expand": range(1, 2),
    "OneHot": range(1, 2),
    "Pad": range(1, 4),
    "Range": range(0, 3),
    "ReduceL1": range(1, 2),
    "ReduceL2": range(1, 2),
    "ReduceLogSum": range(1, 2),
    "ReduceLogSumExp": range(1, 2),
    "ReduceMax": range(1, 2),
    "ReduceMean": range(1, 2),
    "ReduceMin": range(1, 2),
    "ReduceProd": range(1, 2),
    "ReduceSum": range(1, 2),
    "ReduceSumSquare": range(1, 2),
    "Reshape": range(1, 2),
    "Resize": range(1, 4),
    "Slice": range(1, 5),
    "Split": range(1, 2),
    "Squeeze": range(1, 2),
    "Tile": range(1, 3),
    "Unsqueeze": range(1, 2),
    "Upsample": range(1, 2),
}
