"""The memory that uploaded files take: how much, up to how much, and until when."""

import asyncio
import time

from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

SESSION_BYTES = 256 * 2**20
"""Of all files that a session has uploaded; what goes beyond is refused."""
ALL_BYTES = 1024 * 2**20
"""The same of all sessions together."""
CLOSED_SECONDS = 60.0
"""Files of a closed tab are kept this long, for a browser that lost its connection."""
_SWEEP_SECONDS = 10.0


def uploaded_bytes() -> dict[str, int]:
    """Bytes of all files that are kept for each session."""
    if not Runtime.exists():
        return {}
    kept = getattr(Runtime.instance().uploaded_file_mgr, "file_storage", {})
    return {
        session: sum(len(file.data) for file in list(files.values()))
        for session, files in list(kept.items())
    }


def drop_uploads() -> None:
    """Free the files of this session: their fields are gone, or come up empty."""
    context = get_script_run_ctx()
    if context is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)


async def drop_uploads_of_closed_tabs() -> None:
    """Free the files of each tab that has been closed for `CLOSED_SECONDS`, for ever."""
    closed: dict[str, float] = {}
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        runtime, now = Runtime.instance(), time.monotonic()
        sessions = [one for one in uploaded_bytes() if not runtime.is_active_session(one)]
        closed = {session: closed.get(session, now) for session in sessions}
        for session, since in closed.items():
            if now - since >= CLOSED_SECONDS:
                runtime.uploaded_file_mgr.remove_session_files(session)
