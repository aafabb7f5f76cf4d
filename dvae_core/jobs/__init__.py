"""Background jobs, which continue when the browser is closed and are found through their run.

`job` starts, finds and stops one command of this package on one run. `queue` limits how many
trainings run at the same time. `overview` collects what a list of runs shows. `trash` deletes and
restores runs.
"""

from dvae_core.jobs.job import TRAINING as TRAINING
from dvae_core.jobs.job import Job as Job
from dvae_core.jobs.job import JobState as JobState
from dvae_core.jobs.job import find_job as find_job
from dvae_core.jobs.job import job_progress as job_progress
from dvae_core.jobs.job import start_job as start_job
from dvae_core.jobs.job import stop_job as stop_job
from dvae_core.jobs.overview import RunOverview as RunOverview
from dvae_core.jobs.overview import find_training as find_training
from dvae_core.jobs.overview import overview as overview
from dvae_core.jobs.queue import MAX_AT_ONCE as MAX_AT_ONCE
from dvae_core.jobs.queue import advance_queue as advance_queue
from dvae_core.jobs.queue import leave_queue as leave_queue
from dvae_core.jobs.queue import queue_of as queue_of
from dvae_core.jobs.queue import queue_root as queue_root
from dvae_core.jobs.queue import queue_training as queue_training
from dvae_core.jobs.queue import read_queue as read_queue
from dvae_core.jobs.queue import set_trainings_at_once as set_trainings_at_once
from dvae_core.jobs.queue import stop_training as stop_training
from dvae_core.jobs.queue import trainings_at_once as trainings_at_once
