"""Operators of ONNX, by what they may do to whoever runs them."""

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
