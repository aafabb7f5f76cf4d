from ui.errors import plain


def test_a_strangers_text_is_no_markdown() -> None:
    assert plain("<b>*x*</b> [a](b) $x$ :red[y]") == (
        r"\<b\>\*x\*\</b\> \[a\]\(b\) \$x\$ \:red\[y\]"
    )


def test_a_strangers_text_is_one_line_and_no_underline_of_a_heading() -> None:
    assert plain("a\n\n    b\x1b[1m\u202ec &lt;") == r"a      b \[1m c \&lt;"
    assert plain("===") == r"\=\=\="
