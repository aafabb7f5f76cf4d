"""Background jobs, which continue when the browser is closed and are found through their run.

`job` starts, finds and stops one command of this package on one run. `queue` limits how many
trainings run at the same time. `overview` collects what a list of runs shows. `trash` deletes and
restores runs.
"""

from dvae_core.jobs.job import (
    TRAINING,
    Job,
    JobState,
    find_job,
    job_progress,
    start_job,
    stop_job,
)
from dvae_core.jobs.overview import RunOverview, find_training, overview
from dvae_core.jobs.queue import (
    advance_queue,
    leave_queue,
    queue_of,
    queue_root,
    queue_training,
    read_queue,
    set_trainings_at_once,
    stop_training,
    trainings_at_once,
)

__all__ = [
    "TRAINING",
    "Job",
    "JobState",
    "RunOverview",
    "advance_queue",
    "find_job",
    "find_training",
    "job_progress",
    "leave_queue",
    "overview",
    "queue_of",
    "queue_root",
    "queue_training",
    "read_queue",
    "set_trainings_at_once",
    "start_job",
    "stop_job",
    "stop_training",
    "trainings_at_once",
]
