"""Requests in and answers out, without sockets."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyVmomi import VmomiSupport, vim, vmodl
from pyVmomi.SoapAdapter import SoapResponseDeserializer, SoapStubAdapter

from vcenter_sim import faults, wire
from vcenter_sim.wire import WireError, parse_call

STUB = SoapStubAdapter(host="unused.example", version="vim.version.v8_0_2_0")


def serialised(reference: Any, method: str, *arguments: Any) -> bytes:
    """A request as pyvmomi writes it."""
    info = VmomiSupport.GetWsdlMethod("urn:vim25", method).info
    request: bytes = STUB.SerializeRequest(reference, info, arguments)
    return request


def test_a_request_of_pyvmomi_is_read_with_all_its_arguments() -> None:
    """References, lists, nested objects, types and booleans come out as they went in."""
    collector = vmodl.query.PropertyCollector
    spec = collector.FilterSpec(
        objectSet=[
            collector.ObjectSpec(
                obj=vim.Folder("group-d1"),
                skip=True,
                selectSet=[collector.TraversalSpec(name="a", type=vim.Folder, path="childEntity", skip=False)],
            )
        ],
        propSet=[collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name", "config.uuid"], all=False)],
    )
    options = collector.RetrieveOptions(maxObjects=7)
    body = serialised(collector("propertyCollector"), "RetrievePropertiesEx", [spec], options)
    call = parse_call(body, '"urn:vim25/6.5"')
    assert call.method == "RetrievePropertiesEx"
    assert call.this == collector("propertyCollector")
    assert call.version == "vim.version.version11"
    assert call.arguments["options"].maxObjects == 7
    (found,) = call.arguments["specSet"]
    assert found.objectSet[0].obj == vim.Folder("group-d1")
    assert found.objectSet[0].selectSet[0].path == "childEntity"
    assert found.propSet[0].type is vim.VirtualMachine
    assert list(found.propSet[0].pathSet) == ["name", "config.uuid"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")))
def test_any_text_travels(text: str) -> None:
    """A string argument arrives as it was sent, and goes back as it is."""
    call = parse_call(serialised(vim.SearchIndex("SearchIndex"), "FindByInventoryPath", text))
    assert call.arguments["inventoryPath"] == text
    fetch = wire.Call("Fetch", vim.VirtualMachine("vm-1"), {"prop": "name"}, wire.method_info("Fetch"), call.version)
    back = SoapResponseDeserializer(STUB).Deserialize(wire.render_result(fetch, text), str)
    assert (back or "") == text


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(body: bytes) -> None:
    """Whatever arrives is a call or a WireError."""
    with pytest.raises(WireError):
        parse_call(body)


@given(st.data())
def test_no_mangled_request_breaks_the_parser(data: st.DataObject) -> None:
    """A request with a piece cut out or replaced is a call or a WireError, never another exception."""
    body = serialised(
        vim.VirtualMachine("vm-1"), "CloneVM_Task", vim.Folder("group-v1"), "name",
        vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False),
    ).decode()  # fmt: skip
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 40)))
    piece = data.draw(
        st.sampled_from(["", "<", "x", '"', "</e>", "<powerOn>7</powerOn>", 'xsi:type="xsd:int"', "&amp;"])
    )
    try:
        call = parse_call((body[:start] + piece + body[end:]).encode())
    except WireError:
        return
    assert isinstance(call.method, str)


ENVELOPE = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
    "{header}<e:Body>{body}</e:Body></e:Envelope>"
)


def request(body: str, header: str = "") -> bytes:
    return ENVELOPE.format(body=body, header=header).encode()


THIS = '<_this type="SearchIndex">SearchIndex</_this>'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "unknown encoding: no-such"),
        (b"", "not well-formed XML"),
        (b"<a/>", "the document is no SOAP envelope"),
        (request(""), "the envelope has no request in its body"),
        (request('<FindByIp xmlns="urn:vim25"></FindByIp>'), "FindByIp: the request names no receiver"),
        (
            request(f'<FindByIp xmlns="urn:vim25">{THIS}</FindByIp>'),
            "FindByIp: the parameter ip is missing",
        ),
        (
            request(f'<FindByIp xmlns="urn:vim25">{THIS}<nosuch>1</nosuch></FindByIp>'),
            "FindByIp: unexpected element nosuch",
        ),
        (
            request(f'<FindByIp xmlns="urn:vim25">{THIS}<ip>1.2.3.4</ip><vmSearch>maybe</vmSearch></FindByIp>'),
            "FindByIp: maybe",
        ),
        (
            request(f'<FindByIp xmlns="urn:vim25">{THIS}<ip xsi:type="xsd:int">7</ip></FindByIp>'),
            'For "ip" expected type str, but got int',
        ),
        (
            request('<FindByIp xmlns="urn:vim25"><_this type="NoSuch">x</_this></FindByIp>'),
            "FindByIp: 'NoSuch'",
        ),
        (
            request(f'<CurrentTime xmlns="urn:vim25">{THIS}</CurrentTime>' * 2),
            "the body holds more than one request",
        ),
        (
            request(
                '<CloneVM_Task xmlns="urn:vim25"><_this type="VirtualMachine">vm-1</_this>'
                '<folder type="Folder">group-v1</folder><name>n</name><spec><powerOn>true</powerOn></spec>'
                "</CloneVM_Task>"
            ),
            "CloneVM_Task: spec.location is missing",
        ),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type declarations are not accepted"),
        (request("<a>" * 70 + "</a>" * 70), "nested deeper than 64"),
        (
            request(
                f'<RetrieveProperties xmlns="urn:vim25">{THIS}<specSet><objectSet>'
                + '<selectSet xsi:type="TraversalSpec">' * 70 + "</x>"
            ),
            "nested deeper than 64",
        ),
        (
            request(
                '<RetrieveProperties xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this>'
                '<specSet xsi:type="xsd:string">x</specSet></RetrieveProperties>'
            ),
            "specSet holds a str",
        ),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    """Malformed, mistyped, too deep or incomplete requests say what is wrong with them."""
    with pytest.raises(WireError) as caught:
        parse_call(body)
    assert reason in str(caught.value)


def test_headers_and_unknown_methods_are_passed_over() -> None:
    """A SOAP header does not matter; an unknown method keeps its name and receiver and loses its arguments."""
    call = parse_call(
        request(
            '<FindByIp xmlns="urn:vim25"><_this type="SearchIndex">SearchIndex</_this>'
            "<ip>192.0.2.1</ip><vmSearch>true</vmSearch></FindByIp>",
            header="<e:Header><operationID>x</operationID></e:Header>",
        )
    )
    assert call.arguments == {"datacenter": None, "ip": "192.0.2.1", "vmSearch": True}
    unknown = parse_call(
        request('<NoSuch xmlns="urn:vim25"><_this type="vim:Folder">group-d1</_this><a><b>1</b></a></NoSuch>')
    )
    assert (unknown.method, unknown.this, unknown.arguments, unknown.info) == (
        "NoSuch", vim.Folder("group-d1"), {}, None,
    )  # fmt: skip
    odd = parse_call(request('<NoSuch xmlns="urn:vim25"><_this type="Unknown">x</_this></NoSuch>'))
    assert odd.this is None


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ('"urn:vim25/8.0.2.0"', "vim.version.v8_0_2_0"),
        ("urn:vim25/6.7", "vim.version.version12"),
        ('"urn:vim25/6.0"', "vim.version.version10"),
        ('"urn:vim25/8.0.3.0"', "vim.version.v8_0_2_0"),
        ('"urn:vim25/99"', "vim.version.v8_0_2_0"),
        ('"urn:pbm/7.0"', "vim.version.v8_0_2_0"),
        ("", "vim.version.v8_0_2_0"),
        (None, "vim.version.v8_0_2_0"),
    ],
)
def test_the_version_comes_from_the_soap_action(header: str | None, version: str) -> None:
    """An offered version is taken, anything else means the newest offered."""
    assert wire.version_of(header) == version


def test_offered_versions_are_numbers_newest_first() -> None:
    """The list begins with 8.0.2.0 and goes down, numerically."""
    versions = wire.offered_versions()
    assert versions[0] == "8.0.2.0"
    assert {"7.0.3.0", "6.7", "6.5", "6.0", "5.5"} <= set(versions)
    assert "8.0.3.0" not in versions


def test_answers_leave_out_what_is_newer_than_the_clients_version() -> None:
    """A field of a later version is not sent to an older client."""
    session = vim.vm.BootOptions(bootDelay=0, efiSecureBootEnabled=True)
    for version, there in (("vim.version.version9", False), ("vim.version.v8_0_2_0", True)):
        assert ("efiSecureBootEnabled" in wire.text_of(session, version)) is there


def test_a_fault_travels_without_wrapper_and_with_its_text() -> None:
    """pyvmomi reads the fault back with its type, fields and text; markup in it is escaped."""
    sent = faults.duplicate_name("a<b>&c", vim.VirtualMachine("vm-7"))
    body = wire.render_fault(sent, wire.NEWEST_VERSION)
    assert b"<faultcode>ServerFaultCode</faultcode>" in body
    back = SoapResponseDeserializer(STUB).Deserialize(body, object)
    assert isinstance(back, vim.fault.DuplicateName)
    assert (back.name, back.object._GetMoId(), back.msg) == ("a<b>&c", "vm-7", "The name 'a<b>&c' already exists.")


def test_what_cannot_be_sent_is_an_error_here_and_not_at_the_client() -> None:
    """Values of the wrong type, unknown properties and unset required fields raise TypeError."""
    with pytest.raises(TypeError):
        wire.checked_value(vim.VirtualMachine, "name", 7)
    with pytest.raises(TypeError, match="has no property nosuch"):
        wire.checked_value(vim.VirtualMachine, "nosuch", 7)
    with pytest.raises(TypeError, match="is no array"):
        wire.typed(VmomiSupport.Object(name="x", type=str), ["a"])
    with pytest.raises(TypeError, match="not optional"):
        wire.text_of(vim.vm.RuntimeInfo())


@given(st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=8), st.integers(0, 5), max_size=4))
def test_copies_are_equal_and_apart(values: dict[str, int]) -> None:
    """A copy reads the same and shares no data object with its original."""
    original = vim.vm.VirtualHardware(
        numCPU=1,
        memoryMB=4,
        device=[
            vim.vm.device.VirtualE1000(key=number, deviceInfo=vim.Description(label=name, summary=name))
            for name, number in values.items()
        ],
    )
    copied = wire.copy_of(original)
    assert wire.text_of(copied) == wire.text_of(original)
    for ours, theirs in zip(copied.device, original.device, strict=True):
        assert ours is not theirs
        assert ours.deviceInfo is not theirs.deviceInfo


@pytest.mark.parametrize(
    ("kind", "name", "value", "written"),
    [
        (vim.VirtualMachine, "parent", vim.Folder("group-v1"), 'xsi:type="ManagedObjectReference" type="Folder"'),
        (vim.Folder, "childEntity", [vim.Folder("group-v1")], 'xsi:type="ArrayOfManagedObjectReference"'),
        (vim.VirtualMachine, "overallStatus", "green", 'xsi:type="ManagedEntityStatus"'),
        (vim.VirtualMachine, "name", "n", 'xsi:type="xsd:string"'),
        (vim.VirtualMachine, "alarmActionsEnabled", True, 'xsi:type="xsd:boolean"'),
        (vim.vm.device.VirtualDisk, "capacityInBytes", 2**40, 'xsi:type="xsd:long"'),
        (vim.vm.device.VirtualDisk, "key", 2000, 'xsi:type="xsd:int"'),
        (vim.vm.device.VirtualController, "device", [1], 'xsi:type="ArrayOfInt"'),
        (vim.Folder, "childType", [vim.Folder], 'xsi:type="ArrayOfString"'),
        (vim.dvs.DistributedVirtualPortgroup, "portKeys", ["1"], 'xsi:type="ArrayOfString"'),
        (vim.vm.ConfigInfo, "bootOptions", vim.vm.BootOptions(), 'xsi:type="VirtualMachineBootOptions"'),
    ],
)
def test_values_of_type_any_name_the_types_that_vcenter_names(kind: Any, name: str, value: Any, written: str) -> None:
    """Java and Go clients decode by xsi:type: it must be the declared one, as from a real vCenter."""
    assert written in wire.text_of(wire.checked_value(kind, name, value))


def test_a_client_in_the_same_process_does_not_disturb_the_type_tables() -> None:
    """pyvmomi's attribute access rewrites `type[]` in the shared tables; values can still be stored after that."""
    info = vim.Folder._GetPropertyInfo("childType")
    before = info.type
    info.type = VmomiSupport.GetVmodlType("string[]")
    try:
        value = wire.checked_value(vim.Folder, "childType", [vim.Folder, vim.VirtualMachine])
        assert list(value) == ["Folder", "VirtualMachine"]
    finally:
        info.type = before
