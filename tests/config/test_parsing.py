from __future__ import annotations

import json
import tomllib

import pytest

from bayesfuse.config.parsing import MOST_LEVELS, parse_json, parse_toml


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_what_is_not_deep_is_read() -> None:
    assert parse_json('{"a": [1, {"b": null}]}') == parse_json(b'{"a": [1, {"b": null}]}')
    assert parse_json(nested(MOST_LEVELS)) == json.loads(nested(MOST_LEVELS))
    flat = [[i] for i in range(3 * MOST_LEVELS)]
    assert parse_json(json.dumps(flat)) == flat
    assert parse_toml(f"a = {nested(MOST_LEVELS - 1)}") == {"a": json.loads(nested(99))}


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 5000, 100_000])
def test_what_is_deep_is_refused(levels: int) -> None:
    for text in (nested(levels), '{"a":' * levels + "1" + "}" * levels):
        for given in (text, text.encode()):
            with pytest.raises(ValueError, match="more than 100 levels deep"):
                parse_json(given)
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        parse_toml(f"a = {nested(levels)}")


def test_mistakes_are_the_parsers_own() -> None:
    with pytest.raises(json.JSONDecodeError):
        parse_json('{"a": ')
    with pytest.raises(tomllib.TOMLDecodeError):
        parse_toml("a = ")
    with pytest.raises(ValueError, match="digits"):
        parse_json("1" * 5000)
