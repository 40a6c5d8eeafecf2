"""Large JSON, member by member."""

import json

import pytest

from stvg_jax.grounding.evaluation.reading import JsonScanner


def members(text: str) -> list:
    scanner = JsonScanner(text)
    found = [(key, scanner.value()) for key in scanner.members()]
    scanner.end()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", []),
        (" { } \n", []),
        ('{"a": 1}', [("a", 1)]),
        ('\t{ "a" : [1, 2] ,\r\n"b": {"c": null, "c": "d"} }', [("a", [1, 2]), ("b", (("c", None), ("c", "d")))]),
        ('{"a": 1, "a": 2}', [("a", 1), ("a", 2)]),
    ],
)
def test_members_in_order_and_keys_given_twice(text, expected):
    assert members(text) == expected


@pytest.mark.parametrize("skipped", ["{}", '{"x": {"y": 1}, "z": []}', "[1, {}]", "3", '"text"', "null"])
def test_values_are_passed_over(skipped):
    scanner = JsonScanner(f'{{"a": {skipped}, "b": 5}}')
    keys = scanner.members()
    assert next(keys) == "a"
    scanner.skip()
    assert next(keys) == "b"
    assert scanner.value() == 5
    assert list(keys) == []
    scanner.end()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected { at character 0, found 'the end'"),
        ("  [1]", "expected { at character 2, found '\\['"),
        ('{"a": 1', "expected , or } at character 7, found 'the end'"),
        ('{"a" 1}', "expected : at character 5, found '1'"),
        ("{1: 2}", "a key is not text at character 2"),
        ('{"a": 1} x', "there is more after the end, at character 9"),
    ],
)
def test_where_it_is_no_json(text, message):
    with pytest.raises(ValueError, match=message):
        members(text)


def test_what_stands_behind_a_comma_is_a_member():
    with pytest.raises(json.JSONDecodeError):
        members('{"a": 1,}')
