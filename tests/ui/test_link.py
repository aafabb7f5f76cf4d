"""The link that every page writes, and what a link of the browser changes."""

from streamlit.testing.v1 import AppTest


def show_view() -> None:
    import streamlit as st

    from ui.link import current_view, read_link, set_view, write_link
    from ui.selection import current_selection
    from ui.widgets import enter_page, when_changed, widget_key

    notes = read_link({"runs/a"}, spoke=enter_page("page"))
    tab = current_view().get("tab", "first")
    key = widget_key("tab", tab)
    st.text_input("tab", tab, key=key, on_change=when_changed(key, lambda tab: set_view(tab=tab)))
    st.text_input("free", key="free")
    st.text(current_view().get("tab", "first"))
    st.text(" ".join(notes))
    st.text(current_selection().protocol)
    write_link()


def shown(app: AppTest) -> str:
    return app.text[0].value


def opened(**query: str) -> AppTest:
    app = AppTest.from_function(show_view)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def test_a_link_restores_the_view() -> None:
    assert shown(opened(tab="third")) == "third"


def test_a_link_that_the_browser_has_not_replaced_yet_is_no_news() -> None:
    app = opened(tab="first")
    app.text_input(key="tab").set_value("second").run()
    app.query_params["tab"] = "first"  # what a slow browser still sends, with its next input
    app.text_input(key="tab").set_value("third").run()
    assert shown(app) == "third"
    app.query_params["tab"] = "first"
    app.run()  # at once: no person is that quick
    assert shown(app) == "third"


def test_back_is_heard_once_the_browser_knew_of_the_link() -> None:
    app = opened(tab="first")
    app.text_input(key="tab").set_value("second").run()
    app.run()  # by now it has heard
    app.query_params["tab"] = "first"
    app.run()
    assert shown(app) == "first"


def test_a_link_of_elsewhere_is_heard_at_once() -> None:
    app = opened(tab="first")
    app.text_input(key="tab").set_value("second").run()
    app.query_params["tab"] = "never shown here"
    app.run()
    assert shown(app) == "never shown here"


def test_a_link_without_a_protocol_is_one_of_the_paper() -> None:
    app = opened(protocol="native", tab="first")
    assert app.text[2].value == "native"
    app.query_params.clear()
    app.query_params["tab"] = "another"
    assert app.run().text[2].value == "paper"


def test_what_a_link_cannot_restore_is_said() -> None:
    app = opened(run="runs/gone", second="runs/lost", protocol="own")
    said = app.text[1].value
    assert "the run “runs/gone”" in said
    assert "second run “runs/lost”" in said
    assert "protocol “own”" in said
    assert "names no run" in opened(start="prior-1").text[1].value
    assert opened(tab="second").text[1].value == ""
