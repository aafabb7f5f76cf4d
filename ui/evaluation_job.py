"""Measuring a run in the background, with progress and a way to stop."""

import streamlit as st

from dvae_core.evaluation.catalog import FAST_METRICS, METRICS
from dvae_core.evaluation.results import ProtocolName, read_evaluation
from dvae_core.jobs import Job, find_job, start_job, stop_job
from dvae_core.runs.catalog import SHIPPED_ROOT
from dvae_core.runs.run import Run
from ui.errors import errors_shown, plain

COMMAND = "evaluate"
SETS = {
    "fast": "fast metrics (seconds)",
    "all": "all metrics, including exact DCI (minutes)",
}


def show_evaluation(run: Run, protocol: ProtocolName) -> None:
    """Controls that start, watch and stop the measuring of a run."""
    if run.path.parent.resolve() == SHIPPED_ROOT.resolve():
        st.caption("Shipped runs come with their scores and cannot be changed.")
        return
    _watch(run, protocol)


def _watch(run: Run, protocol: ProtocolName) -> None:
    with errors_shown():
        job = find_job(run, COMMAND)
        if job is not None and job.state == "running":
            _running(run)
            return
        if job is not None:
            _ended(job)
        done = {score.metric for score in read_evaluation(run).scores if score.protocol == protocol}
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                "Metrics", list(SETS), format_func=SETS.__getitem__, width=300, key="measure-set"
            )
            missing = set(FAST_METRICS if chosen == "fast" else METRICS) - done
            st.button(
                "Evaluate" if missing else "All evaluated",
                icon=":material/straighten:",
                type="primary",
                disabled=not missing,
                on_click=_start,
                args=(run, protocol, chosen),
                key="measure",
            )


@st.fragment(run_every=1.0)
def _running(run: Run) -> None:
    job = find_job(run, COMMAND)
    if job is None or job.state != "running":
        st.rerun(scope="app")
    else:
        st.progress(min(job.fraction, 1.0), f"{job.command}: {plain(job.stage)}")
        st.button(
            "Stop",
            icon=":material/stop:",
            on_click=_stop,
            args=(run,),
            key="stop-measuring",
            help="Finished metrics are kept.",
        )


def _ended(job: Job) -> None:
    if job.state in ("failed", "lost"):
        st.warning(
            plain(f"The last evaluation stopped early: {job.message}. Finished metrics are kept."),
            icon=":material/warning:",
        )
    elif job.state == "stopped":
        st.caption("The last evaluation was stopped. Finished metrics are kept.")


def _start(run: Run, protocol: ProtocolName, metrics: str) -> None:
    with errors_shown():
        start_job(run, COMMAND, ["--protocol", protocol, "--metrics", metrics])


def _stop(run: Run) -> None:
    with errors_shown():
        stop_job(run, COMMAND)
