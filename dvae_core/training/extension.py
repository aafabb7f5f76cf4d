"""Giving a run more steps than it was planned for."""

from dvae_core.errors import ConfigError, RunError
from dvae_core.runs.run import Run, RunRecord, State


def extend_run(run: Run, more_steps: int) -> RunRecord:
    """Let a run end `more_steps` later; the next `train` continues to there.

    Noise scale and capacity keep the schedules that they had, so that they stay at their ends. A
    training of steps = 20 extended by 20 ends with the same bits as one of steps = 40,
    noise_steps = 20.

    Args:
        run: that is not being trained. A finished one is `stopped` from now on.
        more_steps: at least 1.

    Returns:
        The config that was written.

    Raises:
        ConfigError: `more_steps` is below 1, or leads past the greatest number of steps.
        RunError: another process trains the run, it is damaged, or it is finished and has no saved
            state to continue from, like the shipped runs.
    """
    if more_steps < 1:
        raise ConfigError(f"more_steps is {more_steps}, but a run is extended by at least 1 step")
    with run.reserved_for("training"):
        if problem := run.problem():
            raise RunError(problem)
        run.check_trainable()
        if run.state() is State.RUNNING:  # started, and not yet at the lock
            raise RunError(f"{run.path} is being trained: stop it, then extend it")
        record, status = run.record, run.status()
        if status.state is State.FINISHED and not run.has_trainer_state:
            raise RunError(
                f"{run.path} has no trainer.safetensors, so its training cannot continue: "
                "duplicate "
                f"it and train the copy from the start"
            )
        extended = RunRecord.model_validate(
            record.model_dump()
            | {
                "steps": record.steps + more_steps,
                "noise_steps": record.noise_steps or record.steps,
                "capacity_steps": min(record.capacity_steps, record.steps),
            }
        )
        # Status first: whoever dies between the two leaves a run that resuming finishes as it was.
        state = State.STOPPED if status.state is State.FINISHED else status.state
        run.write_status(status.model_copy(update={"state": state, "steps": extended.steps}))
        run.replace_record(extended)
    return extended
