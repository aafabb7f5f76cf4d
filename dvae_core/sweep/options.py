"""Options of the engine of a sweep."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EngineOptions(BaseModel):
    """Where a sweep runs, and how many runs at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Literal["local", "ray"] = Field("local", description="this machine, or a Ray cluster")
    address: str = Field("auto", description="host:port of the Ray cluster; auto finds a local one")
    workers: int | None = Field(None, ge=1, description="runs at a time; by default as many as fit")
    gpus: int | None = Field(None, ge=0, description="GPUs of this machine to use; by default all")
    runs_per_gpu: int = Field(1, ge=1, le=64, description="runs that share a GPU")

    @property
    def on_this_machine(self) -> "EngineOptions":
        """Options for work that needs the folder of all runs, which only this machine has."""
        return self if self.engine == "local" else EngineOptions()
