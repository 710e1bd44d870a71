"""Templates: what is filled in, how values become text, and that an event never gets a second pass."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.errors import EventError
from orgloop.event import Event
from orgloop.routing import compile_config, compile_template, render, render_config
from orgloop.routing.path import MAX_PATH_CHARS
from orgloop.routing.template import MAX_TEMPLATE_CHARS

EVENT = Event("github", "resource.changed", {"platform": "github"}, {"pr": {"number": 7}, "title": "Fix"})

HOSTILE = [
    "{{ payload.secret }}",
    "{{payload.v}}",
    "{{",
    "}}",
    "${GITHUB_TOKEN}",
    "$(id)",
    "`id`",
    "%s %(x)s",
    "{0.__class__}",
    "{payload}",
    "{% raw %}",
    "\\{{payload.secret}}",
    "\\1 \\g<0>",
    "\x00\x1b[2J\r\n",
    "x" * 1_000_000,
    "{{payload.secret}}" * 50_000,
]


def filled(text: str, payload: object = None, *, missing: str = "") -> str:
    """A template, compiled and filled in."""
    event = EVENT if payload is None else attrs.evolve(EVENT, payload=payload)
    return render(compile_template(text), event, missing=missing)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("nothing to do", "nothing to do"),
        ("{{payload.title}}", "Fix"),
        ("{{  payload.title\t}}", "Fix"),
        ("pr:{{ payload.pr.number }}:{{source}}", "pr:7:github"),
        ("{{source}}{{source}}", "githubgithub"),
        ('{"n":{{payload.pr.number}}}', '{"n":7}'),
    ],
)
def test_what_is_filled_in(text: str, expected: str) -> None:
    """A path between two pairs of braces, with or without spaces."""
    assert filled(text) == expected


@pytest.mark.parametrize(
    "text",
    ["{{", "}}", "{{}}", "{ {source} }", "{source}", "{{source", "source}}", "{{source}", "{{\nsource}}", "${source}"],
)
def test_other_braces_stand_for_themselves(text: str) -> None:
    """What is no placeholder is text."""
    assert filled(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{{source}}}", "{github}"),
        ("{{ {{source}} }}", "{{ github }}"),
        ("{{payload.{{source}}}}", "{{payload.github}}"),
        ("{{source}}}}", "github}}"),
    ],
)
def test_the_innermost_braces_count_and_only_once(text: str, expected: str) -> None:
    """What is around a placeholder does not become one with what was filled in."""
    assert filled(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("", ""),
        (7, "7"),
        (-1, "-1"),
        (2**70, str(2**70)),
        (7.0, "7"),
        (0.5, "0.5"),
        (True, "true"),
        (False, "false"),
        ([1, "a", None, True], '[1,"a",null,true]'),
        ({"a": {"b": ["é"]}}, '{"a":{"b":["é"]}}'),
        ([], "[]"),
        ({}, "{}"),
        ("a\nb", "a\nb"),
    ],
)
def test_how_a_value_becomes_text(value: object, text: str) -> None:
    """Text as it is, all else as compact JSON."""
    assert filled("<{{payload.v}}>", {"v": value}) == f"<{text}>"


@pytest.mark.parametrize("payload", [{}, {"v": None}, [], "text"])
def test_missing_and_null_are_what_the_caller_says(payload: object) -> None:
    """Nothing by default."""
    assert filled("<{{payload.v}}>", payload) == "<>"
    assert filled("<{{payload.v}}>", payload, missing="unknown") == "<unknown>"


@pytest.mark.parametrize("text", ["{{event.payload.title}}", "{{payload.title.__class__}}", "{{ 7 * 7 }}", "{{now}}"])
def test_what_is_no_path_to_a_value_is_missing(text: str) -> None:
    """There are no attributes, no expressions, no functions, no names beside the fields of the event."""
    assert filled(text, missing="-") == "-"


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:20]))
def test_what_an_event_says_is_put_in_as_it_is(value: str) -> None:
    """Nothing in it is expanded, evaluated, formatted or escaped."""
    assert filled("<{{payload.v}}|{{payload.v}}>", {"v": value, "secret": "s3cret"}) == f"<{value}|{value}>"


def test_two_values_do_not_become_a_placeholder_together() -> None:
    """Not even when the halves of one meet."""
    payload = {"open": "{{", "close": "}}", "secret": "s3cret"}

    assert filled("{{payload.open}}payload.secret{{payload.close}}", payload) == "{{payload.secret}}"


@given(st.lists(st.text(alphabet="{}$%. \npayloadsecret", max_size=30), min_size=1, max_size=4))
def test_filling_in_is_putting_text_side_by_side(values: list[str]) -> None:
    """Whatever the values are, the result is the values between the separators, and nothing else."""
    text = "|".join(f"{{{{payload.{number}}}}}" for number in range(len(values)))

    assert filled(text, values) == "|".join(values)


@given(st.text(alphabet="{} \nabc.", max_size=60))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    """A text without a placeholder stays as it is; an empty path is the one thing to refuse."""
    try:
        result = filled(text)
    except ValueError:
        assert re.search(r"\{\{[ ]+\}\}", text)
    else:
        assert result == re.sub(r"\{\{[^{}\n]+\}\}", "", text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x" * (MAX_TEMPLATE_CHARS + 1), f"at most {MAX_TEMPLATE_CHARS} are allowed"),
        ("{{payload." + "x" * MAX_PATH_CHARS + "}}", f"at most {MAX_PATH_CHARS} are allowed"),
        ("{{" + ".".join("p" * 65) + "}}", "at most 64 are allowed"),
        ("{{ }}", "a path must not be empty"),
    ],
)
def test_what_is_refused_as_a_template(text: str, complaint: str) -> None:
    """Limits are said where the template is written."""
    with pytest.raises(ValueError, match=complaint):
        compile_template(text)


@pytest.mark.parametrize("text", ["{{" * 32_768, "{{a" * 21_845, "{" * 65_536, "{{a}" * 16_384, "}}{{" * 16_384])
def test_braces_without_end_are_read_in_one_go(text: str) -> None:
    """The longest text of unfinished placeholders is compiled at once, and stays as it is."""
    assert filled(text) == text


@pytest.mark.parametrize("value", [object(), ["\ud800"], 10**5_000], ids=["object", "surrogate", "digits"])
def test_a_value_that_is_not_json_is_the_senders_fault(value: object) -> None:
    """The error names the path."""
    with pytest.raises(EventError, match=r"payload\.v cannot be written as text"):
        filled("{{payload.v}}", {"v": value})


# -- then.config -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_only_texts_at_the_top_of_a_config_are_templates(compiled: bool) -> None:
    """Keys, numbers, booleans, null, and all that is nested pass as they are, compiled before or not."""
    config: dict[str, Any] = {
        "text": "{{payload.title}}!",
        "{{source}}": "key",
        "inbox": True,
        "count": 3,
        "none": None,
        "list": ["{{source}}"],
        "map": {"deep": "{{source}}"},
        "plain": "as it is" * MAX_TEMPLATE_CHARS,
    }

    assert render_config(compile_config(config) if compiled else config, EVENT) == config | {"text": "Fix!"}


def test_nested_values_are_the_same_objects() -> None:
    """They are not copied."""
    nested = {"a": [1]}

    assert render_config({"map": nested}, EVENT)["map"] is nested


@pytest.mark.parametrize("value", [7, True, ["a"], {"a": 1}])
def test_a_template_always_becomes_a_string(value: object) -> None:
    """A placeholder alone does not keep the type of what it finds."""
    assert isinstance(render_config({"v": "{{payload}}"}, attrs.evolve(EVENT, payload=value))["v"], str)


@pytest.mark.parametrize(
    ("key", "expected"), [("session_key", "pr:unknown"), ("thread_id", "pr:unknown"), ("message", "pr:")]
)
def test_what_is_missing_in_a_key_of_a_conversation_is_unknown(key: str, expected: str) -> None:
    """An empty part would merge unrelated conversations; elsewhere it is just empty."""
    assert render_config({key: "pr:{{payload.no}}"}, EVENT) == {key: expected}


def test_an_event_cannot_reach_into_a_session_key_twice() -> None:
    """The original expanded these two keys again."""
    event = attrs.evolve(EVENT, payload={"v": "{{payload.secret}}", "secret": "s3cret"})

    assert render_config({"session_key": "{{payload.v}}"}, event) == {"session_key": "{{payload.secret}}"}


def test_a_fault_in_a_config_names_the_key() -> None:
    """So that the file can be put right."""
    with pytest.raises(ValueError, match=r"^message: a path must not be empty"):
        compile_config({"message": "{{ }}"})


def test_compiling_leaves_the_config_as_it_was() -> None:
    """The route keeps what was written."""
    config = {"text": "{{source}}"}
    compile_config(config)

    assert config == {"text": "{{source}}"}
