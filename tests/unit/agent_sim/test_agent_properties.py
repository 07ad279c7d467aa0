"""agent.properties: the Java text form and the typed view."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_sim.properties import AgentProperties, PropertiesError, format_properties, parse_properties

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=8))
def test_written_properties_read_back(values) -> None:
    """Whatever keys and values, the text form gives them back."""
    assert parse_properties(format_properties(values)) == values


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text) -> None:
    """No text breaks the reader: it gives texts, or says which line is wrong."""
    try:
        values = parse_properties(text)
    except PropertiesError as error:
        assert "line " in str(error)
    else:
        assert all(isinstance(value, str) for value in values.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("  a : 1\nb 2\nc\n", {"a": "1", "b": "2", "c": ""}),
        ("# a=1\n! b=2\n\n   \n", {}),
        ("a=1\\\n   2\\\n   3\nb=4", {"a": "123", "b": "4"}),
        ("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a\\=b\\ c=d = e", {"a=b c": "d = e"}),
        ("a=\\t\\n\\q\\u00e9\\uD83D\\uDE00", {"a": "\t\nqé😀"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=1\\", {"a": "1"}),
        ("a=# no comment\\\n# still value", {"a": "# no comment# still value"}),
    ],
)
def test_java_text_form(text, expected) -> None:
    """Separators, comments, continued lines, escapes and repeated keys as java.util.Properties reads them."""
    assert parse_properties(text) == expected


@pytest.mark.parametrize("text", ["a=1\nb=\\u12", "a=1\nb=\\uzzzz"])
def test_bad_escape_names_its_line(text) -> None:
    """A broken \\u escape is refused with the line's number."""
    with pytest.raises(PropertiesError, match="line 2: malformed"):
        parse_properties(text)


def test_defaults_of_an_empty_file() -> None:
    """Every documented default."""
    properties = AgentProperties()
    found = {
        "host": properties.host,
        "port": properties.port,
        "guid": properties.guid,
        "workers": properties.workers,
        "zone": properties.zone,
        "pod": properties.pod,
        "cluster": properties.cluster,
        "private": properties.private_network_device,
        "public": properties.public_network_device,
        "guest": properties.guest_network_device,
        "ping_retries": properties.ping_retries,
        "backoff_s": properties.backoff_s,
        "handshake": properties.ssl_handshake_timeout_s,
        "lb": properties.host_lb_check_interval_s,
        "mount": properties.mount_path,
        "script": properties.script_timeout_s,
        "health": properties.health_check_script,
        "tags": properties.host_tags,
        "backend": properties.libguestfs_backend,
        "lib_dir": properties.vddk_lib_dir,
        "transports": properties.vddk_transports,
        "thumbprint": properties.vddk_thumbprint,
        "verbose": properties.virtv2v_verbose,
        "environment": properties.conversion_environment,
    }
    assert found == {
        "host": "localhost",
        "port": 8250,
        "guid": None,
        "workers": 5,
        "zone": "default",
        "pod": "default",
        "cluster": None,
        "private": "cloudbr1",
        "public": "cloudbr0",
        "guest": "cloudbr1",
        "ping_retries": 5,
        "backoff_s": 5,
        "handshake": 30,
        "lb": None,
        "mount": "/mnt",
        "script": 60,
        "health": None,
        "tags": [],
        "backend": "direct",
        "lib_dir": None,
        "transports": None,
        "thumbprint": None,
        "verbose": False,
        "environment": {},
    }
    assert [(pool.uuid, pool.path) for pool in properties.local_pools] == [(None, "/var/lib/libvirt/images/")]


def test_set_values_and_blanks() -> None:
    """Values are trimmed; a blank one counts as unset."""
    properties = AgentProperties.from_text(
        "vddk.lib.dir =  /opt/vddk  \nvddk.transports=   \nlibguestfs.backend=\n"
        "virtv2v.verbose.enabled=TRUE\nconvert.instance.env.tmpdir=/t\nconvert.instance.env.virtv2v.tmpdir=/v\n"
        "local.storage.path=/a, /b,\nlocal.storage.uuid=u1\nguest.network.device=br7\nhost.tags=x,y\n"
        "host.lb.check.interval=30\nagent.health.check.script.path=/x.sh\nguid=g\ncluster=c"
    )
    assert properties.vddk_lib_dir == "/opt/vddk"
    assert properties.vddk_transports is None
    assert properties.libguestfs_backend == "direct"
    assert properties.virtv2v_verbose
    assert properties.conversion_environment == {"TMPDIR": "/t", "VIRT_V2V_TMPDIR": "/v"}
    assert [(pool.uuid, pool.path) for pool in properties.local_pools] == [("u1", "/a"), (None, "/b")]
    assert (properties.guest_network_device, properties.host_tags) == ("br7", ["x", "y"])
    assert (properties.host_lb_check_interval_s, properties.health_check_script) == (30, "/x.sh")
    assert (properties.guid, properties.cluster) == ("g", "c")
    assert properties.with_values(vddk_lib_dir="/other").vddk_lib_dir == "/other"
    assert properties.as_dict()["guid"] == "g"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("port=many", "port: expected a whole number, got 'many'"),
        ("port=0", "port: expected at least 1, got 0"),
    ],
)
def test_bad_numbers_say_what_was_expected(text, reason) -> None:
    """A bad number names its key, the value and what was expected."""
    with pytest.raises(PropertiesError, match=reason):
        AgentProperties.from_text(text).port  # noqa: B018


def test_files_are_read_and_named_in_errors(tmp_path: Path) -> None:
    """A file that is no properties file is named in the error."""
    path = tmp_path / "agent.properties"
    path.write_text("zone=z")
    assert AgentProperties.from_file(path).zone == "z"
    path.write_bytes(b"zone=\xff")
    with pytest.raises(PropertiesError, match=r"agent\.properties"):
        AgentProperties.from_file(path)
