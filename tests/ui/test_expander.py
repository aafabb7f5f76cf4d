"""An expander that a person opened stays open."""

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

REPOSITORY = Path(__file__).parents[2]


def test_the_server_remembers_that_an_expander_is_open() -> None:
    def script() -> None:
        import streamlit as st

        from ui.expander import show_expander

        show_expander("Advanced", "advanced")
        st.write(str(st.session_state["advanced"]))

    app = AppTest.from_function(script).run()
    assert app.markdown[0].value == "False"
    app.session_state["advanced"] = True
    assert app.run().markdown[0].value == "True"


def test_no_page_leaves_an_expander_to_the_browser() -> None:
    sources = [*(REPOSITORY / "pages").rglob("*.py"), *(REPOSITORY / "ui").rglob("*.py")]
    users = {
        path.name
        for path in sources
        if re.search(r"\.expander\(", path.read_text(encoding="utf-8"))
    }
    # Details of an error may stand on a page twice, so they have no key to be remembered by.
    assert users == {"expander.py", "errors.py"}
