from stvg_jax.core.characters import escaped, has_surrogate, one_line, without_surrogates


def test_surrogates():
    assert has_surrogate("a\ud83d") and has_surrogate("\udcff") and has_surrogate("\ude00\ud83d")
    assert not has_surrogate("a\U0001f600") and not has_surrogate("café") and not has_surrogate("")
    assert without_surrogates("a\ud83db\udcff") == "a\ufffdb\ufffd"
    assert without_surrogates("\U0001f600 é") == "\U0001f600 é"


def test_one_line_that_a_terminal_can_show():
    assert escaped("plain – 猫\t\U0001f600") == "plain – 猫\t\U0001f600"
    assert escaped("a\nb\x1b[31m\u202e\ud83d\x85\x7f") == r"a\nb\x1b[31m\u202e\ud83d\x85\x7f"
    assert one_line("a" * 120) == "a" * 120
    assert one_line("\n" * 121) == r"\n" * 120 + "..."
