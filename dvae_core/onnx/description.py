"""The description of an imported model in config.json."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from tyro.conf import UseAppendAction

from dvae_core.config import OneLine, OneLineErrors

ImageRange = Literal["image", "signed", "bytes"]
DecoderOutput = Literal["image", "signed", "bytes", "logits"]
VarianceAs = Literal["log_variance", "log_std", "variance", "std"]
CategoriesAs = Literal["logits", "probabilities"]
CodesAs = Literal["values", "one_hot", "flat_one_hot"]
Channels = Literal["first", "last"]
Place = Annotated[int, Field(ge=0, le=1_000)]


class OnnxLayout(OneLineErrors):
    """How to read the inputs and outputs of the two ONNX files.

    None means that the import finds it out from the names, shapes and values of the tensors. The
    record of a run holds what was found.

    Raises:
        ConfigError: a field is unknown or has another value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    interleaved: bool = Field(
        False,
        description="the single encoder output interleaves means and log variances; otherwise all "
        "means come first",
    )
    encoder_input: ImageRange = Field(
        "image",
        description="range of the encoder input: image is 0 to 1, signed is -1 to 1, bytes is 0 to "
        "255",
    )
    decoder_output: DecoderOutput = Field(
        "image",
        description="decoder output: image is 0 to 1, signed is -1 to 1 (tanh), bytes is 0 to 255, "
        "logits become the image by a sigmoid",
    )
    encoder_outputs: tuple[Place, ...] | None = Field(
        None,
        max_length=2,
        description="places of the encoder outputs to read, counted from 0, the means first; by "
        "default, their names tell, or else their order",
    )
    variance_as: VarianceAs | None = Field(
        None,
        description="what the encoder returns beside the means; by default, the name of the output "
        "tells, or else it is log_variance",
    )
    categories_as: CategoriesAs | None = Field(
        None,
        description="what a categorical encoder returns; by default, rows that sum to one are "
        "probabilities",
    )
    codes_as: CodesAs | None = Field(
        None,
        description="what a categorical decoder reads: category values (batch, N), one-hot rows "
        "(batch, N, K), or these flattened; by default, its shape tells",
    )
    encoder_channels: Channels | None = Field(
        None,
        description="whether the encoder reads images (batch, C, H, W) or (batch, H, W, C); by "
        "default, its shape tells",
    )
    decoder_channels: Channels | None = Field(
        None, description="the same of the images that the decoder returns"
    )
    # On the command line, the flag is given once for each input.
    fix: Annotated[tuple[str, ...], UseAppendAction] = Field(
        (),
        max_length=8,
        description="value of another input, such as a label, as NAME=VALUE, or NAME=V,V,V for "
        "several numbers; both files get it",
    )

    @field_validator("fix")
    @classmethod
    def _are_values(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            name, _, values = text.rpartition("=")
            try:
                numbers = [float(value) for value in values.split(",")]
            except ValueError:
                numbers = []
            if not name or not numbers or not all(map(math.isfinite, numbers)) or len(text) > 4096:
                raise PydanticCustomError("fix", "must be NAME=VALUE or NAME=V,V,V with numbers")
        return texts

    @property
    def fixed(self) -> dict[str, tuple[float, ...]]:
        """The numbers of `fix` by name of the input."""
        pairs = (text.rpartition("=") for text in self.fix)
        return {name: tuple(map(float, values.split(","))) for name, _, values in pairs}


class OnnxFile(BaseModel):
    """One file of an imported model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: OneLine = Field(max_length=200, description="original file name; shown, never opened")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    opset: int = Field(ge=1, le=1_000)
    one_at_a_time: bool = Field(description="whether its batch size is fixed at 1")


class ImportedModel(OnnxLayout):
    """The files of an imported model, and how to read them."""

    # Records that lack these fields were written when imports did not look for anything else.
    encoder_outputs: tuple[Place, ...] | None = Field(
        (), max_length=2, description="places of the encoder outputs; empty for all in order"
    )
    variance_as: VarianceAs | None = "log_variance"
    categories_as: CategoriesAs | None = "logits"
    codes_as: CodesAs | None = "values"
    encoder_channels: Channels | None = "first"
    decoder_channels: Channels | None = "first"

    encoder: OnnxFile | None = Field(description="None for a model without encoder")
    decoder: OnnxFile
    category_values: tuple[tuple[float, ...], ...] = Field(
        (), description="ascending values of each latent; empty for linspace(-1, 1, K)"
    )
