"""Where a sweep works."""

from typing import Literal

from pydantic import Field

from dvae_core.config import Settings


class EngineOptions(Settings):
    """Where the runs of a sweep are made, and how many at a time."""

    engine: Literal["local", "ray"] = Field("local", description="this machine, or a Ray cluster")
    address: str = Field("auto", description="host:port of the Ray cluster; auto finds one here")
    workers: int | None = Field(
        None, ge=1, description="runs at a time; as many as there is room for by default"
    )
    gpus: int | None = Field(None, ge=0, description="GPUs of this machine to use; all by default")
    runs_per_gpu: int = Field(1, ge=1, le=64, description="runs that share a GPU")
