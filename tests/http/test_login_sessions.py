"""Login, the requests of a session, and logout, as recorded in session.jsonl and roles.jsonl of a real server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mgmt.store.models import Event, User

D1_UUID = "fee9d313-0f5d-4582-a527-5772ac5bc06b"
UNVERIFIED_REQUEST = "unable to verify user credentials and/or request signature"
UNVERIFIED_SESSION = "unable to verify user credentials"
LAX = "HttpOnly;SameSite=Lax"


def login(edge: Any, cookie: str | None = None, **parameters: str) -> Any:
    form = {"command": "login", "response": "json", "username": "admin", "password": "password", **parameters}
    headers = {"Cookie": cookie} if cookie else {}
    return edge.client().post("/client/api", data={k: v for k, v in form.items() if v is not None}, headers=headers)


def cookies_of(answer: Any) -> tuple[str, str]:
    """The values of JSESSIONID and sessionkey that an answer sets."""
    text = "\n".join(answer.headers.getlist("Set-Cookie"))
    return re.findall(r"JSESSIONID=([^;]*)", text)[0], (re.findall(r"sessionkey=([^;]*)", text) or [""])[0]


def call(edge: Any, session: str, cookie_key: str | None, parameter_key: str | None, **parameters: str) -> Any:
    query = {"command": "listZones", "response": "json", **parameters}
    if parameter_key is not None:
        query["sessionkey"] = parameter_key
    cookie = f"JSESSIONID={session}" + (f"; sessionkey={cookie_key}" if cookie_key is not None else "")
    return edge.client().get("/client/api", query_string=query, headers={"Cookie": cookie})


def error(answer: Any) -> tuple[int, str]:
    (body,) = answer.json.values()
    assert answer.status_code == body["errorcode"]
    assert ("X-Description" in answer.headers) == ("cserrorcode" in body)
    return body["errorcode"], body["errortext"]


def test_login_answers_with_the_recorded_fields_and_cookies(edge: Any) -> None:
    """A login answers all fields as text but the timeout, and sets JSESSIONID and sessionkey."""
    answer = login(edge)
    session, key = cookies_of(answer)
    assert answer.status == "200 OK"
    assert len(key) == 27
    assert list(answer.json["loginresponse"].items()) == [
        ("username", "admin"),
        ("userid", "4730d2e8-e6d2-11f1-b0c4-02fc00000001"),
        ("domainid", "472f002c-e6d2-11f1-b0c4-02fc00000001"),
        ("timeout", 1800),
        ("account", "admin"),
        ("firstname", "F"),
        ("lastname", "L"),
        ("type", "1"),
        ("timezone", "UTC"),
        ("timezoneoffset", "0.0"),
        ("registered", "false"),
        ("sessionkey", key),
        ("is2faenabled", "false"),
        ("is2faverified", "true"),
        ("issuerfor2fa", "CloudStack"),
        ("managementserverid", "73fbcaa8-c53b-4175-90dd-2257954d5ca5"),
    ]
    assert answer.headers.getlist("Set-Cookie") == [
        f"JSESSIONID={session}; Path=/client",
        f"sessionkey={key};{LAX}",
    ]
    assert session.startswith("node0") and session.endswith(".node0")
    assert answer.headers["Expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_only_root_admins_are_told_the_management_server(edge: Any) -> None:
    """A user's login has no managementserverid."""
    answer = login(edge, username="user1", domain="/d1")
    assert answer.status_code == 200
    assert "managementserverid" not in answer.json["loginresponse"]


def test_login_needs_post(edge: Any) -> None:
    """GET on login is 405 with a plain text under the asked content type."""
    answer = edge.client().get("/client/api?command=login&username=admin&password=password&response=json")
    assert answer.status == "405 Method Not Allowed"
    assert answer.data == b"Please use HTTP POST to authenticate using this API"
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert "JSESSIONID" in answer.headers["Set-Cookie"]


def events(edge: Any) -> list[tuple[str, str, str, str | None]]:
    with edge.services.store.session() as db:
        return [(row.type, row.state, row.description, row.resource_name) for row in db.query(Event).order_by(Event.id)]


def test_sessions_are_told_as_events(edge: Any) -> None:
    """A login tells where it came from, a logout that it was; a refused login tells nothing."""
    login(edge, password="wrong")
    session, key = cookies_of(login(edge))
    edge.client().get("/client/api?command=logout", headers={"Cookie": f"JSESSIONID={session}; sessionkey={key}"})
    assert events(edge) == [
        ("USER.LOGIN", "Completed", "user has logged in from IP Address /127.0.0.1", "admin"),
        ("USER.LOGOUT", "Completed", "user has logged out", "admin"),
    ]


PASSWORD_RESET_OFF = "user.password.reset.enabled is false. Password reset for the user is not allowed."


@pytest.mark.parametrize(
    ("parameters", "status", "text"),
    [
        ({"command": "forgotPassword", "username": "admin", "domain": "/"}, 531, PASSWORD_RESET_OFF),
        ({"command": "forgotPassword", "username": "nobody", "domain": "D1"}, 531, PASSWORD_RESET_OFF),
        ({"command": "forgotPassword", "username": "admin", "domain": "x"}, 531,
         "Unable to find the domain from the path /x/"),
        ({"command": "forgotPassword", "username": "admin"}, 531, "Unable to find the domain from the path null"),
        ({"command": "resetPassword", "username": "admin", "domain": "/", "token": D1_UUID}, 531, PASSWORD_RESET_OFF),
        ({"command": "forgotPassword"}, 531, None),
        ({"command": "resetPassword", "username": "admin", "token": "t"}, 431, None),
    ],
)  # fmt: skip
def test_a_forgotten_password_cannot_be_reset(
    edge: Any, parameters: dict[str, str], status: int, text: str | None
) -> None:
    """Both commands need no login and are switched off; what they cannot read at all they answer bare."""
    answer = edge.client().post("/client/api", data={"response": "json", **parameters})
    if text is None:
        assert (answer.status_code, answer.data) == (status, b"null" if status == 531 else b"Invalid token")
    else:
        assert error(answer) == (status, text)


def test_login_without_user_name_answers_null(edge: Any) -> None:
    """A login without username is 531 with the body `null`."""
    answer = edge.client().post("/client/api", data={"command": "login", "password": "x", "response": "json"})
    assert (answer.status, answer.data) == ("531 531", b"null")


@pytest.mark.parametrize("domain", [{}, {"domain": "/"}, {"domain": ""}, {"domainid": "1"}, {"domainId": "1"},
                                    {"domainid": "472f002c-e6d2-11f1-b0c4-02fc00000001"}])  # fmt: skip
def test_root_domain_may_be_named_in_many_ways(edge: Any, domain: dict[str, str]) -> None:
    """No, an empty and the root path name the ROOT domain, so do its ids."""
    assert login(edge, **domain).status_code == 200


@pytest.mark.parametrize(
    ("parameters", "status", "text"),
    [
        ({"domain": "ROOT"}, 531, "Unable to find the domain from the path /ROOT/"),
        ({"domain": "/ROOT"}, 531, "Unable to find the domain from the path /ROOT/"),
        ({"domainid": "abc"}, 401, "Invalid domain id entered, please enter a valid one"),
        ({"domainid": ""}, 401, "Invalid domain id entered, please enter a valid one"),
        ({"domainid": "99"}, 401, "Invalid domain id entered, please enter a valid one"),
        ({"domainid": "11111111-2222-3333-4444-555555555555"}, 401,
         "Invalid domain id entered, please enter a valid one"),
        ({"password": "wrong"}, 531, "Failed to authenticate user admin in domain 1; please provide valid credentials"),
        ({"password": ""}, 531, "Failed to authenticate user admin in domain 1; please provide valid credentials"),
        ({"password": None}, 531, "Failed to authenticate user admin in domain 1; please provide valid credentials"),
        ({"username": "user1"}, 531, "Failed to authenticate user user1 in domain 1; please provide valid credentials"),
        ({"username": "disabled1", "domain": "D1/"}, 531,
         'User UserAccount {"accountName":"disabled1","id":4,"username":"disabled1"}. (or their account) in domain '
         'Domain {"id":2,"name":"D1","path":"\\/D1\\/","uuid":"' + D1_UUID + '"} is disabled/locked. '
         "Please contact the administrator."),
    ],
)  # fmt: skip
def test_refused_logins(edge: Any, parameters: dict[str, str], status: int, text: str) -> None:
    """A refused login has the recorded code and text, no cserrorcode and a new JSESSIONID."""
    answer = login(edge, **parameters)
    assert error(answer) == (status, text)
    assert "cserrorcode" not in answer.json["loginresponse"]
    assert [each.split("=")[0] for each in answer.headers.getlist("Set-Cookie")] == ["JSESSIONID"]


def test_requests_of_a_session_need_cookie_and_parameter(edge: Any) -> None:
    """By default the session key must come as cookie and as parameter; else the session is dropped."""
    session, key = cookies_of(login(edge))
    assert call(edge, session, key, key).status_code == 200
    for cookie_key, parameter_key in ((None, key), (key, None), ("wrong", key), (key, "wrong")):
        session, key = cookies_of(login(edge))
        cookie_key = key if cookie_key not in (None, "wrong") else cookie_key
        parameter_key = key if parameter_key not in (None, "wrong") else parameter_key
        assert error(call(edge, session, cookie_key, parameter_key)) == (401, UNVERIFIED_SESSION)
        assert error(call(edge, session, key, key)) == (401, UNVERIFIED_REQUEST)


@pytest.mark.parametrize(
    ("locations", "cookie_only", "parameter_only"),
    [("CookieOrParameter", 200, 200), ("ParameterOnly", 401, 200), ("CookieAndParameter", 401, 401)],
)
def test_where_the_session_key_is_looked_for(edge: Any, locations: str, cookie_only: int, parameter_only: int) -> None:
    """Setting api.sessionkey.check.locations says whether cookie or parameter is enough."""
    edge.set("api.sessionkey.check.locations", locations)
    session, key = cookies_of(login(edge))
    assert call(edge, session, key, None).status_code == cookie_only
    session, key = cookies_of(login(edge))
    assert call(edge, session, None, key).status_code == parameter_only


def test_a_right_signature_does_not_help_a_session_without_key(edge: Any) -> None:
    """A live session decides, whatever signature comes along; a bad signature in a good session is ignored."""
    session, key = cookies_of(login(edge))
    assert call(edge, session, key, key, apiKey="bad", signature="bad").status_code == 200
    api_key, _ = edge.keys["admin"]
    assert error(call(edge, session, key, None, apiKey=api_key, signature="x")) == (401, UNVERIFIED_SESSION)


def test_session_cookie_without_node_suffix_is_set_again(edge: Any) -> None:
    """JSESSIONID works without `.node0`, and the answer sets the full cookie."""
    session, key = cookies_of(login(edge))
    answer = call(edge, session.removesuffix(".node0"), key, key)
    assert answer.status_code == 200
    assert answer.headers["Set-Cookie"] == f"JSESSIONID={session}; Path=/client"
    assert answer.headers["Expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_session_without_command_is_swallowed(edge: Any) -> None:
    """A session request without command is an empty 200 in XML, and the session lives on."""
    session, key = cookies_of(login(edge))
    answer = edge.client().get(
        f"/client/api?sessionkey={key}&response=json",
        headers={"Cookie": f"JSESSIONID={session}; sessionkey={key}"},
    )
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Type"] == "text/xml;charset=utf-8"
    assert call(edge, session, key, key).status_code == 200


@pytest.mark.parametrize("name", ["frobnicate", "", "listzones", "föö漢", "foo\r\nX-Evil: 1"])
def test_unknown_command_in_a_session_of_the_root_admin(edge: Any, name: str) -> None:
    """Unknown commands are 432; line breaks and characters beyond Latin-1 are blanks in X-Description only."""
    session, key = cookies_of(login(edge))
    answer = call(edge, session, key, key, command=name)
    text = f"Unknown API command: {name}"
    assert answer.json == {"errorresponse": {"uuidList": [], "errorcode": 432, "cserrorcode": 9999, "errortext": text}}
    assert answer.status == "432 432"
    assert answer.headers["X-Description"] == text.translate({13: " ", 10: " ", ord("漢"): " "})


@pytest.mark.parametrize("name", ["frobnicate", "updateHost"])
def test_session_of_a_user_is_denied_by_its_own_id(edge: Any, name: str) -> None:
    """A user's session gets the same text for a denied and an unknown command, before any parameter is looked at."""
    session, key = cookies_of(login(edge, username="user1", domain="/D1"))
    answer = call(edge, session, key, key, command=name)
    text = (
        f"The API [{name}] does not exist or is not available for the account for user id "
        "[f357d19a-3b0f-40bd-a3e9-7582f02b8e97]."
    )
    assert error(answer) == (432, text)
    assert list(answer.json) == ["errorresponse"]
    assert call(edge, session, key, key).status_code == 200


def test_every_login_ends_the_session_it_comes_in(edge: Any) -> None:
    """A login call, also a failing one, ends the session whose cookie it carries."""
    for password in ("password", "bad"):
        session, key = cookies_of(login(edge))
        login(edge, cookie=f"JSESSIONID={session}; sessionkey={key}", password=password)
        assert error(call(edge, session, key, key)) == (401, UNVERIFIED_REQUEST)


def test_idle_session_ends(edge: Any) -> None:
    """A session dies after the idle time; each request prolongs it."""
    session, key = cookies_of(login(edge))
    for _ in range(3):
        edge.clock.time_s += 1700
        assert call(edge, session, key, key).status_code == 200
    edge.clock.time_s += 1801
    assert error(call(edge, session, key, key)) == (401, UNVERIFIED_REQUEST)


def test_session_of_a_disabled_or_removed_user_ends(edge: Any) -> None:
    """A user who is disabled while logged in loses the session with the next request."""
    session, key = cookies_of(login(edge, username="user1", domain="/D1"))
    assert call(edge, session, key, key).status_code == 200
    with edge.services.store.session() as db:
        db.query(User).filter_by(username="user1").one().state = "disabled"
    assert error(call(edge, session, key, key)) == (401, UNVERIFIED_SESSION)


def test_logout_expires_what_the_request_carried(edge: Any) -> None:
    """Logout needs no session key, answers success and expires each cookie of the request."""
    session, key = cookies_of(login(edge))
    answer = edge.client().get(
        "/client/api?command=logout&response=json", headers={"Cookie": f"JSESSIONID={session}; sessionkey={key}"}
    )
    assert answer.data == b'{"logoutresponse":{"description":"success"}}'
    expired = "Expires=Thu, 01-Jan-1970 00:00:00 GMT; Max-Age=0"
    assert answer.headers.getlist("Set-Cookie") == [
        f"sessionkey={key};{LAX}",
        f"JSESSIONID=; {expired}",
        f"sessionkey=; {expired}",
    ]
    assert answer.headers["Expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert error(call(edge, session, key, key)) == (401, UNVERIFIED_REQUEST)


def test_logout_without_session(edge: Any) -> None:
    """Logout without a session is 431 in both formats."""
    text = "Session not found for the logout process."
    answer = edge.client().post("/client/api", data={"command": "logout", "response": "json"})
    assert error(answer) == (431, text)
    document = edge.client().get("/client/api?command=logout").get_data(as_text=True)
    assert document == (
        '<?xml version="1.0" encoding="UTF-8"?><logoutresponse><errorcode>431</errorcode>'
        f"<cserrorcode>9999</cserrorcode><errortext>{text}</errortext></logoutresponse>"
    )


@pytest.mark.parametrize(
    ("value", "ending"),
    [
        ("Strict", ";HttpOnly;SameSite=Strict"),
        ("NoneAndSecure", ";HttpOnly;SameSite=None;Secure"),
        ("Null", ";HttpOnly"),
    ],
)
def test_same_site_of_the_key_cookie(edge: Any, value: str, ending: str) -> None:
    """Setting api.sessionkey.cookie.samesite decides the end of the sessionkey cookie."""
    edge.set("api.sessionkey.cookie.samesite", value)
    answer = login(edge)
    _, key = cookies_of(answer)
    assert answer.headers.getlist("Set-Cookie")[1] == f"sessionkey={key}{ending}"


def test_time_zones(edge: Any) -> None:
    """The offset is in hours; an unknown zone counts as GMT; a user without zone has neither field."""
    offsets = {"Asia/Kolkata": "5.5", "Nowhere/Land": "0.0", None: None}
    for zone, offset in offsets.items():
        with edge.services.store.session() as db:
            db.query(User).filter_by(username="admin").one().timezone = zone
        body = login(edge).json["loginresponse"]
        assert (body.get("timezone"), body.get("timezoneoffset")) == (zone, offset)
