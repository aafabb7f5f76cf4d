"""Measuring runs in the background, with progress and a way to stop."""

from collections.abc import Sequence

import streamlit as st

from dvae_core.data.listing import dataset_info
from dvae_core.evaluation.catalog import (
    FAST_METRICS,
    METRICS,
    describe_long,
    split_by_time,
)
from dvae_core.evaluation.protocol import missing_metrics
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName, read_evaluation
from dvae_core.jobs import Job, find_job, start_job, stop_job
from dvae_core.runs.catalog import is_shipped_run
from dvae_core.runs.run import Run
from ui.errors import errors_shown, plain

COMMAND = "evaluate"
SETS = {
    "fast": "fast metrics (seconds)",
    "all": "all metrics, including exact DCI (minutes)",
}


def show_evaluation(run: Run, protocol: ProtocolName) -> None:
    """Controls that start, watch and stop the measuring of a run."""
    if is_shipped_run(run):
        st.caption("Shipped runs come with their scores and cannot be changed.")
        return
    _watch(run, protocol)


def show_evaluation_of_all(
    runs: Sequence[Run], unevaluated: Sequence[Run], protocol: ProtocolName
) -> None:
    """A button that evaluates several runs one after another, and the evaluation that goes on.

    Args:
        runs: all whose evaluations are shown.
        unevaluated: those of them that the button evaluates; none shows no button.
        protocol: of the scores.
    """
    with errors_shown():
        if _find_running(runs) is not None:
            _running(runs)
        elif unevaluated:
            count = len(unevaluated)
            st.button(
                f"Evaluate all {count}" if count > 1 else f"Evaluate {unevaluated[0].id}",
                icon=":material/straighten:",
                type="primary",
                on_click=_start,
                args=(unevaluated, protocol, "fast"),
                key="measure-all",
                help="Fast metrics, a few seconds for each run. They are computed in the "
                "background, also when you close this page.",
            )


def _watch(run: Run, protocol: ProtocolName) -> None:
    with errors_shown():
        job = find_job(run, COMMAND)
        if job is not None and job.state == "running":
            _running([run])
            return
        if job is not None:
            _ended(job)
        evaluation = read_evaluation(run)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                "Metrics", list(SETS), format_func=SETS.__getitem__, width=300, key="measure-set"
            )
            sizes = dataset_info(run.record.dataset).factor_sizes
            wanted, long = split_by_time(FAST_METRICS if chosen == "fast" else METRICS, sizes)
            missing = missing_metrics(run, evaluation, wanted, protocol, EvaluationSettings())
            st.button(
                "Evaluate" if missing else "All evaluated",
                icon=":material/straighten:",
                type="primary",
                disabled=not missing,
                on_click=_start,
                args=([run], protocol, chosen),
                key="measure",
            )
        for name in long:
            st.caption(plain(f"{describe_long(name, sizes)} on the command line."))


@st.fragment(run_every=1.0)
def _running(runs: Sequence[Run]) -> None:
    found = _find_running(runs)
    if found is None:
        st.rerun(scope="app")
    else:
        run, job = found
        what = job.command if len(runs) == 1 else f"{job.command} {run.id}"
        left = (
            job.arguments[job.arguments.index("--then") + 1 :] if "--then" in job.arguments else []
        )
        after = f", then {len(left)} more" if left else ""
        st.progress(min(job.fraction, 1.0), plain(f"{what}: {job.stage}{after}"))
        st.button(
            "Stop",
            icon=":material/stop:",
            on_click=_stop,
            args=(run,),
            key="stop-measuring",
            help="Finished metrics are kept.",
        )


def _find_running(runs: Sequence[Run]) -> tuple[Run, Job] | None:
    jobs = ((run, find_job(run, COMMAND)) for run in runs)
    return next(((run, job) for run, job in jobs if job and job.state == "running"), None)


def _ended(job: Job) -> None:
    if job.state in ("failed", "lost"):
        st.warning(
            plain(f"The last evaluation stopped early: {job.message}. Finished metrics are kept."),
            icon=":material/warning:",
        )
    elif job.state == "stopped":
        st.caption("The last evaluation was stopped. Finished metrics are kept.")


def _start(runs: Sequence[Run], protocol: ProtocolName, metrics: str) -> None:
    first, *others = runs
    arguments = ["--protocol", protocol, "--metrics", metrics]
    if others:
        arguments += ["--then", *(str(run.path.resolve()) for run in others)]
    with errors_shown():
        start_job(first, COMMAND, arguments)


def _stop(run: Run) -> None:
    with errors_shown():
        stop_job(run, COMMAND)
