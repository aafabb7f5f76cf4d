"""Work that continues when the browser is closed: processes of their own, found again by their run.

`job` starts, finds and stops one command of this package that works on one run. `queue` lines
trainings up, so that not more of them run at a time than the machine is meant to bear.
`listing` tells what a list of runs shows.
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
