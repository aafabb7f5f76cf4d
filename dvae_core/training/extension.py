"""Extending a run by more steps."""

from dvae_core.config import check_log_is_short
from dvae_core.data.listing import dataset_info
from dvae_core.errors import ConfigError, DataError, RunError
from dvae_core.runs.run import Run, RunRecord, State


def extend_run(run: Run, more_steps: int) -> RunRecord:
    """Add `more_steps` to a run, so that the next `train` continues to the new end.

    The schedules of noise scale and capacity, which keep their final values, and the encoder delay
    do not change. A training with steps = 20 extended by 20 ends with the same bits as one with
    steps = 40, noise_steps = 20.

    Args:
        run: not being trained. The state of a finished run becomes `stopped`.
        more_steps: at least 1.

    Returns:
        The new config.

    Raises:
        ConfigError: `more_steps` is below 1, or the sum exceeds the largest number of steps or rows
            of the log.
        DataError: its data set is not here.
        RunError: another process trains the run, it or its saved state is damaged, or it is
            finished and has no saved state, like the shipped runs.
    """
    if more_steps < 1:
        raise ConfigError(f"more_steps is {more_steps}, but must be at least 1")
    with run.reserved_for("training"):
        if problem := run.problem():
            raise RunError(problem)
        run.check_trainable()
        if run.state() is State.RUNNING:  # started, but without the lock yet
            raise RunError(f"{run.path} is being trained: stop it, then extend it")
        record, status = run.record, run.status()
        if status.state is State.FINISHED and not run.has_trainer_state:
            raise RunError(
                f"{run.path} has no trainer.safetensors, so its training cannot continue: "
                "train a run of its settings from the start"
            )
        # Before anything is written: a finished run that cannot go on stays finished.
        if run.has_trainer_state:
            run.check_trainer_state()
        info = dataset_info(record.dataset)
        if info.state != "ready":
            raise DataError(f"data set {record.dataset} is not available: {info.detail}")
        extended = RunRecord.model_validate(
            record.model_dump()
            | {
                "steps": record.steps + more_steps,
                "noise_steps": record.noise_steps or record.steps,
                "capacity_steps": min(record.capacity_steps, record.steps),
                "encoder_delay": min(record.encoder_delay, record.steps // 2),
            }
        )
        check_log_is_short(extended)
        # Status first: after a crash between the two, the run resumes with its old config.
        state = State.STOPPED if status.state is State.FINISHED else status.state
        run.write_status(status.model_copy(update={"state": state, "steps": extended.steps}))
        run.replace_record(extended)
    return extended
