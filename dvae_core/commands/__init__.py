"""The commands of the command line, one frozen dataclass per command.

The help imports all of these modules and must appear at once. Slow imports (torch, and everything
that imports it) therefore stay inside `run`.
"""

from dvae_core.commands.app import App
from dvae_core.commands.command import Command
from dvae_core.commands.data import Datasets, Download, Import, Sheet
from dvae_core.commands.evaluation import Evaluate, Select
from dvae_core.commands.exports import Codes, ExportPage, Traverse
from dvae_core.commands.models import ExportModel, ImportModel
from dvae_core.commands.names import Name, Names
from dvae_core.commands.runs import Delete, ExportRun, ImportRun, Queue, Restore, Runs, Stop
from dvae_core.commands.sweep import Sweep
from dvae_core.commands.training import Estimate, Resume, Tensorboard, Train

# In the order in which the help lists them.
COMMANDS: dict[str, type[Command]] = {
    "app": App,
    "train": Train,
    "resume": Resume,
    "estimate": Estimate,
    "sweep": Sweep,
    "evaluate": Evaluate,
    "select": Select,
    "traverse": Traverse,
    "codes": Codes,
    "export-page": ExportPage,
    "name": Name,
    "names": Names,
    "runs": Runs,
    "queue": Queue,
    "stop": Stop,
    "delete": Delete,
    "restore": Restore,
    "export-run": ExportRun,
    "import-run": ImportRun,
    "export-model": ExportModel,
    "import-model": ImportModel,
    "tensorboard": Tensorboard,
    "datasets": Datasets,
    "sheet": Sheet,
    "download": Download,
    "import": Import,
}
