"""What config.json says of an imported model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ImageRange = Literal["image", "signed"]
DecoderOutput = Literal["image", "signed", "logits"]


class OnnxLayout(BaseModel):
    """How the numbers that go in and come out of two ONNX files are to be read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interleaved: bool = Field(
        False,
        description="the encoder's one output holds mean, log variance, mean, log variance, …; "
        "else all means, then all log variances",
    )
    encoder_input: ImageRange = Field(
        "image", description="what the encoder takes: values in 0 to 1, or signed ones, -1 to 1"
    )
    decoder_output: DecoderOutput = Field(
        "image",
        description="what the decoder gives: an image in 0 to 1, a signed one in -1 to 1 (tanh), "
        "or logits, of which the sigmoid is the image",
    )


class OnnxFile(BaseModel):
    """One file of an imported model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(max_length=200, description="as it was given; shown, never opened")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    opset: int
    one_at_a_time: bool = Field(description="its batch is fixed at one")


class ImportedModel(OnnxLayout):
    """Where an imported model comes from, and how to read it."""

    encoder: OnnxFile | None = Field(description="None for a decoder alone")
    decoder: OnnxFile
    category_values: tuple[tuple[float, ...], ...] = Field(
        (), description="of each latent, ascending; empty for the grid that is usual here"
    )
