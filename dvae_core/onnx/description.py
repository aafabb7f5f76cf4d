"""The description of an imported model in config.json."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ImageRange = Literal["image", "signed"]
DecoderOutput = Literal["image", "signed", "logits"]


class OnnxLayout(BaseModel):
    """How to read the inputs and outputs of the two ONNX files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interleaved: bool = Field(
        False,
        description="the single encoder output interleaves means and log variances; otherwise all "
        "means come first",
    )
    encoder_input: ImageRange = Field(
        "image", description="range of the encoder input: image is 0 to 1, signed is -1 to 1"
    )
    decoder_output: DecoderOutput = Field(
        "image",
        description="decoder output: image is 0 to 1, signed is -1 to 1 (tanh), logits become the "
        "image by a sigmoid",
    )


class OnnxFile(BaseModel):
    """One file of an imported model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(max_length=200, description="original file name; shown, never opened")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    opset: int
    one_at_a_time: bool = Field(description="whether its batch size is fixed at 1")


class ImportedModel(OnnxLayout):
    """The files of an imported model, and how to read them."""

    encoder: OnnxFile | None = Field(description="None for a model without encoder")
    decoder: OnnxFile
    category_values: tuple[tuple[float, ...], ...] = Field(
        (), description="ascending values of each latent; empty for linspace(-1, 1, K)"
    )
