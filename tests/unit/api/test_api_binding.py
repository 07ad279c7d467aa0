"""Binding of parameters: types, maps, UUIDs, dates and paging, with the texts of a real server."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.api.binding import BadDateError, Binder, java_map_text, ordered_fields, parse_date, unpack
from mgmt.commands.declaration import Bound, Declaration, Paging, Success, command
from mgmt.commands.fields import Boolean, Date, Integer, ListOf, ListParams, Long, MapParam, Params, Str, Uuid
from mgmt.errors import CloudError, CloudRuntimeError, InvalidParameterValueError, ServerApiError

KNOWN = "06fb02d4-df56-446b-bb1a-d2d6e11e243b"
UNKNOWN = "11111111-2222-3333-4444-555555555555"
INVALID = "Unable to execute API command listthings due to invalid value"
NOT_FOUND = (
    INVALID + ". Invalid parameter {name} value={value} due to incorrect long value format, or entity does not exist "
    "or due to incorrect parameter annotation for the field in api cmd class."
)


class ThingParams(ListParams):
    needed = Str("needed", required=True)
    id = Uuid("id", entity="host, zone")
    newid = Uuid("id", entity="zone", since="4.21.0")
    text = Str("text", max_length=10, java_name="thingText")
    flag = Boolean("flag", default=False)
    number = Integer("number", default=7)
    size = Long("size")
    startdate = Date("date")
    enddate = Date("date", end_of_day=True)
    day = Date("date", date_only=True)
    details = MapParam("details")
    ids = ListOf("ids", Uuid("id", entity="zone", since="4.19.0"), since="4.19.0")
    words = ListOf("words", Str("word"))
    numbers = ListOf("numbers", Integer("number"))


def declare(params: type[Params], *, is_list: bool = True) -> Declaration:
    @command("listThings", params=params, response=None, description="d", is_list=is_list)
    def handler(call: Any, bound: Bound) -> Success:
        return Success()

    return handler  # type: ignore[return-value]


BINDER = Binder(declare(ThingParams))


def lookup(kind: str, uuid: str) -> int | None:
    return 5 if (kind, uuid.lower()) == ("zone", KNOWN) else None


def bind(binder: Binder = BINDER, /, **parameters: str) -> Bound:
    return binder.bind(unpack({"needed": "x", **parameters}), lookup)


def refused(**parameters: str) -> tuple[int, int | None, str]:
    with pytest.raises(CloudError) as caught:
        bind(**parameters)
    return caught.value.errorcode, caught.value.cserrorcode, caught.value.text


def test_everything_declared_is_bound() -> None:
    """A parameter that was not given has its default; `given` tells which were."""
    bound = bind(number="3")
    assert (bound["flag"], bound["number"], bound["size"], bound["needed"]) == (False, 3, None, "x")
    assert bound["page"] is None and bound.given == {"needed", "number"}
    assert bind()["number"] == 7


def test_own_parameters_come_before_inherited_ones() -> None:
    """Binding goes through a class's own fields first, so that the first wrong one is CloudStack's."""
    names = [name for name, _ in ordered_fields(ThingParams)]
    assert names[:3] == ["needed", "id", "newid"] and names[-3:] == ["keyword", "page", "pagesize"]
    assert refused(number="x", page="y")[2] == f"{INVALID} x for parameter number"


@pytest.mark.parametrize(
    ("parameters", "code", "cserrorcode", "text"),
    [
        ({"number": " 1"}, 431, 9999, INVALID + "  1 for parameter number"),
        ({"number": "1.5"}, 431, 9999, INVALID + " 1.5 for parameter number"),
        ({"number": "99999999999"}, 431, 9999, INVALID + " 99999999999 for parameter number"),
        ({"number": "9" * 5000}, 431, 9999, INVALID + f" {'9' * 5000} for parameter number"),
        ({"size": ""}, 431, 9999, INVALID + "  for parameter size"),
        ({"size": "9223372036854775808"}, 431, 9999, INVALID + " 9223372036854775808 for parameter size"),
        ({"numbers": "1,x"}, 431, 9999, INVALID + " 1,x for parameter numbers"),
        ({"details": "plain"}, 431, 9999, INVALID + " plain for parameter details"),
        ({"number[0].a": "1"}, 431, 9999, INVALID + " {0={a=1}} for parameter number"),
        ({"text": "12345678901"}, 431, 9999,
         INVALID + ". Value greater than max allowed length 10 for param: thingText"),
        ({"needed": ""}, 431, 4350, "Invalid value provided for API arg: needed"),
        ({"id": UNKNOWN}, 431, 9999, NOT_FOUND.format(name="id", value=UNKNOWN)),
        ({"id": "abc"}, 431, 9999, NOT_FOUND.format(name="id", value="abc")),
        ({"id": ""}, 431, 9999, NOT_FOUND.format(name="id", value="")),
        ({"id": " 1"}, 431, 9999, NOT_FOUND.format(name="id", value=" 1")),
        ({"id": "9" * 19}, 431, 9999, NOT_FOUND.format(name="id", value="9" * 19)),
        ({"newid": UNKNOWN}, 431, 9999, NOT_FOUND.format(name="newid", value=UNKNOWN)),
        ({"ids": f"{KNOWN},{UNKNOWN}"}, 431, 9999, NOT_FOUND.format(name="ids", value=UNKNOWN)),
        ({"ids": f"{KNOWN}, {KNOWN}"}, 431, 9999, NOT_FOUND.format(name="ids", value=" " + KNOWN)),
        ({"startdate": "abc"}, 431, 9999,
         ("Unable to parse date abc for command listthings, please pass dates in the format mentioned in the api "
         "documentation")),
        ({"startdate": ""}, 431, 9999,
         ("Unable to parse date  for command listthings, please pass dates in the format mentioned in the api "
         "documentation")),
    ],
)  # fmt: skip
def test_refused_values(parameters: dict[str, str], code: int, cserrorcode: int, text: str) -> None:
    """A value that its parameter cannot take gives CloudStack's code and text."""
    assert refused(**parameters) == (code, cserrorcode, text)


def test_missing_parameter() -> None:
    """A required parameter that is absent is missing."""
    with pytest.raises(ServerApiError) as caught:
        BINDER.bind({}, lookup)
    assert caught.value.text == "Unable to execute API command listthings due to missing parameter needed"
    assert (caught.value.errorcode, caught.value.cserrorcode) == (431, 9999)


@pytest.mark.parametrize(
    ("parameters", "name", "value"),
    [
        ({"flag": "TRUE"}, "flag", True),
        ({"flag": "1"}, "flag", False),
        ({"flag": ""}, "flag", False),
        ({"number": ""}, "number", 7),
        ({"number": " "}, "number", 7),
        ({"number": "+5"}, "number", 5),
        ({"size": "-9223372036854775808"}, "size", -(2**63)),
        ({"id": KNOWN.upper()}, "id", 5),
        ({"id": "-1"}, "id", -1),
        ({"id": "99999"}, "id", 99999),
        ({"newid": KNOWN}, "newid", 5),
        ({"newid": "1"}, "newid", None),
        ({"newid": "abc"}, "newid", None),
        ({"ids": f"{KNOWN},,"}, "ids", [5]),
        ({"ids": ""}, "ids", []),
        ({"words": "a,, b"}, "words", ["a", " b"]),
        ({"numbers": "1,2"}, "numbers", [1, 2]),
        ({"text": ""}, "text", ""),
        ({"text": "1234567890"}, "text", "1234567890"),
        ({"NUMBER": "4"}, "number", 4),
        ({"startdate": "2026-11-01"}, "startdate", datetime(2026, 11, 1)),
        ({"startdate": "2026-11-01 10:20:30"}, "startdate", datetime(2026, 11, 1, 10, 20, 30)),
        ({"startdate": "2026-11-01T10:20:30+0000"}, "startdate", datetime(2026, 11, 1)),
        ({"startdate": "2026-13-41"}, "startdate", datetime(2027, 2, 10)),
        ({"enddate": "2026-11-01"}, "enddate", datetime(2026, 11, 1, 23, 59, 59)),
        ({"enddate": "2026-11-01 01:02:03"}, "enddate", datetime(2026, 11, 1, 1, 2, 3)),
        ({"day": "2026-11-01 01:02:03"}, "day", datetime(2026, 11, 1)),
        ({"startdate": "999999-01-01"}, "startdate", datetime(9999, 12, 31, 23, 59, 59)),
        ({"startdate": "0-01-01"}, "startdate", datetime.min),
        ({"details[0].cpuNumber": "2", "DETAILS[0].b": "x"}, "details", {"0": {"cpuNumber": "2", "b": "x"}}),
        ({"details[-1].a": "1", "details[7].a": "2"}, "details", {"-1": {"a": "1"}, "7": {"a": "2"}}),
        ({"text[0].a": "1"}, "text", "{0={a=1}}"),
    ],
)
def test_bound_values(parameters: dict[str, str], name: str, value: Any) -> None:
    """Values are typed as CloudStack reads them."""
    assert bind(**parameters)[name] == value


def test_unknown_parameters_are_ignored() -> None:
    """What nobody declared is no error, maps neither."""
    assert "foo" not in bind(foo="bar", **{"bar[0].x": "y"})


@pytest.mark.parametrize(
    "name",
    ["tags[a].key", "tags[0]key", "tags[0]", "tags[0].a[1].b", "tags[0.key", "foo[x", "a.b[0]", "tags[].k",
     "tags[1.5].k", "tags[99999999999].k", "tags]0[.k", "tags[0]].k", "tags[2147483648].k"],
)  # fmt: skip
def test_array_syntax(name: str) -> None:
    """Bad brackets are 430 in any parameter."""
    with pytest.raises(ServerApiError) as caught:
        unpack({name: "k"})
    assert (caught.value.errorcode, caught.value.cserrorcode) == (430, 9999)
    assert caught.value.text == (
        f"Unable to decode parameter {name}; if specifying an object array, please use parameter[index].field=XXX, "
        "e.g. userGroupList[0].group=httpGroup"
    )


@settings(max_examples=25)
@given(st.dictionaries(st.text(st.sampled_from("aB[].0-"), max_size=8), st.text(max_size=3), max_size=4))
def test_unpack_never_fails_otherwise(parameters: dict[str, str]) -> None:
    """Any parameter names are unpacked or refused with 430."""
    try:
        unpacked = unpack(parameters)
    except ServerApiError as error:
        assert error.errorcode == 430
        return
    assert all(name == name.lower() for name in unpacked)
    assert bind(**{"needed": "x", **{k: v for k, v in parameters.items() if k != "needed"}})["needed"] == "x"


def test_name_that_begins_with_a_bracket_is_an_ordinary_one() -> None:
    """`[x` is no map."""
    assert unpack({"[x": "1"}) == {"[x": "1"}


def test_plain_and_map_form_of_one_name() -> None:
    """Whichever form comes last counts."""
    assert unpack({"details": "x", "details[0].a": "1"}) == {"details": {"0": {"a": "1"}}}
    assert unpack({"details[0].a": "1", "details": "x"}) == {"details": "x"}


@pytest.mark.parametrize(
    ("parameters", "offset", "limit"),
    [
        ({}, 0, 500),
        ({"page": "1", "pagesize": "500"}, 0, 500),
        ({"page": "3", "pagesize": "20"}, 40, 20),
        ({"page": "0", "pagesize": "20"}, 0, 20),
        ({"page": "-1", "pagesize": "20"}, 0, 20),
        ({"page": "1", "pagesize": "0"}, 0, 0),
        ({"pagesize": "-1"}, 0, None),
        ({"PAGE": "2", "pageSize": "1"}, 1, 1),
    ],
)
def test_paging(parameters: dict[str, str], offset: int, limit: int | None) -> None:
    """`page` and `pagesize` choose the window; without them the first 500 are listed."""
    assert bind(**parameters).paging == Paging(offset, limit)


@pytest.mark.parametrize(
    ("parameters", "cserrorcode", "text"),
    [
        ({"pagesize": "20"}, 9999, '"page" parameter is required when "pagesize" is specified'),
        ({"page": "1"}, 9999, '"pagesize" parameter is required when "page" is specified'),
        ({"page": "", "pagesize": ""}, 9999, 'For input string: ""'),
        ({"page": "1", "pagesize": ""}, 9999, 'For input string: ""'),
        ({"page": "", "pagesize": "1"}, 9999, 'For input string: ""'),
        ({"page": "1", "pagesize": "-1"}, 4350, "Can't specify page parameter when pagesize is -1 (Unlimited)"),
        ({"page": "1", "pagesize": "501"}, 4350, "Page size can't exceed max allowed page size value: 500"),
        ({"page": "1.5", "pagesize": "10"}, 9999, INVALID + " 1.5 for parameter page"),
    ],
)
def test_refused_paging(parameters: dict[str, str], cserrorcode: int, text: str) -> None:
    """Each way to ask for a wrong window has its text."""
    assert refused(**parameters) == (431, cserrorcode, text)


def test_page_size_below_minus_one() -> None:
    """pagesize=-2 fails in the database upstream: 530, 4250."""
    with pytest.raises(CloudRuntimeError) as caught:
        bind(page="1", pagesize="-2")
    assert (caught.value.errorcode, caught.value.cserrorcode) == (530, 4250)


def test_page_limit_of_the_settings() -> None:
    """The limit is default.page.size; -1 lifts it."""
    small = Binder(declare(ThingParams), 10)
    assert bind(small).paging == Paging(0, 10)
    with pytest.raises(InvalidParameterValueError, match=r"value: 10$"):
        bind(small, page="1", pagesize="11")
    unlimited = Binder(declare(ThingParams), -1)
    assert bind(unlimited).paging == Paging(0, None)
    assert bind(unlimited, page="1", pagesize="100000").paging == Paging(0, 100000)


def test_command_that_is_no_list_does_not_look_at_paging() -> None:
    """page and pagesize mean nothing to other commands."""
    assert bind(Binder(declare(ThingParams, is_list=False)), pagesize="5")["pagesize"] == 5


@settings(max_examples=50)
@given(st.text(max_size=25))
def test_any_date_text_is_read_or_refused(text: str) -> None:
    """No text makes anything but a time or BadDateError."""
    with contextlib.suppress(BadDateError):
        assert isinstance(parse_date(text), datetime)


def test_java_text_of_values() -> None:
    """Maps, lists, booleans and null print as in Java."""
    assert java_map_text({"a": [1, True], "b": None, "c": {"d": "e"}}) == "{a=[1, true], b=null, c={d=e}}"
