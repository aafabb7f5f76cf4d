from ui.errors import plain


def test_a_strangers_text_is_no_markdown() -> None:
    assert plain("<b>*x*</b> [a](b) $x$ :red[y]") == (
        r"\<b\>\*x\*\</b\> \[a\]\(b\) \$x\$ \:red\[y\]"
    )
