"""The private surface of pyvmomi that vcenter_sim.wire stands on: a failure here means to look there first."""

from __future__ import annotations

import inspect
from xml.parsers.expat import ParserCreate

from pyVmomi import SoapAdapter, VmomiSupport, vim, vmodl


def test_the_serialiser_has_the_parts_that_wire_uses() -> None:
    """SoapSerializer(writer, version, nsMap) with Serialize, SerializeFaultDetail and outermostAttrs."""
    assert list(inspect.signature(SoapAdapter.SoapSerializer.__init__).parameters)[:4] == [
        "self", "writer", "version", "nsMap",
    ]  # fmt: skip
    serialiser = SoapAdapter.SoapSerializer(None, "vim.version.v8_0_2_0", dict(SoapAdapter.SOAP_NSMAP))
    assert serialiser.outermostAttrs == ' versionId="8.0.2.0"'
    assert list(inspect.signature(serialiser.Serialize).parameters) == ["val", "info"]
    assert list(inspect.signature(serialiser.SerializeFaultDetail).parameters) == ["val", "info"]
    # wire.responses._Writer corrects exactly this name.
    assert serialiser._QName(VmomiSupport.ManagedObject, "urn:vim25") == ("", "ManagedObject")


def test_the_reader_works_on_a_stack_that_can_be_filled_from_outside() -> None:
    """SoapDeserializer takes over a parser's handlers, keeps a stack, and gives the handlers back at its end."""
    parser = ParserCreate(namespace_separator=SoapAdapter.NS_SEP)
    reader = SoapAdapter.SoapDeserializer()
    reader.Deserialize(parser, object, False, {})
    assert reader.stack == []
    assert parser.StartElementHandler == reader.StartElementHandler
    reader.stack.append(vim.Description(label="", summary=""))
    reader.StartElementHandler("label", {})
    reader.CharacterDataHandler("text")
    reader.EndElementHandler("label")
    assert reader.stack[0].label == "text"
    reader.EndElementHandler("whole")
    assert reader.GetResult().label == "text"
    assert parser.StartElementHandler is None


def test_the_type_tables_answer_as_wire_asks() -> None:
    """GetWsdlMethod, GetWsdlType, GetVmodlType, versions and property infos."""
    info = VmomiSupport.GetWsdlMethod("urn:vim25", "CloneVM_Task").info
    assert [param.name for param in info.params] == ["folder", "name", "spec"]
    assert (info.wsdlName, info.result, info.type) == ("CloneVM_Task", vim.Task, vim.VirtualMachine)
    login = VmomiSupport.GetWsdlMethod("urn:vim25", "Login").info
    assert login.privId == "System.Anonymous"
    assert VmomiSupport.GetWsdlType("urn:vim25", "VirtualMachine") is vim.VirtualMachine
    assert VmomiSupport.GetVmodlType("vim.VirtualMachine[]").Item is vim.VirtualMachine
    assert VmomiSupport.versionMap["vim25/8.0.2.0"] == "vim.version.v8_0_2_0"
    assert VmomiSupport.versionIdMap["vim.version.v8_0_2_0"] == "8.0.2.0"
    assert VmomiSupport.serviceNsMap["vim.version.v8_0_2_0"] == "vim25"
    assert VmomiSupport.IsChildVersion("vim.version.v8_0_2_0", "vim.version.version9")
    assert "vim.version.version9" in VmomiSupport.GetVersionParents("vim.version.v8_0_2_0")
    assert vim.VirtualMachine._GetPropertyInfo("config").type is vim.vm.ConfigInfo
    assert vim.ServiceInstance._GetPropertyInfo("content").privId == "System.Anonymous"
    assert VmomiSupport.F_OPTIONAL


def test_field_checks_and_references_behave_as_wire_expects() -> None:
    """CheckField refuses wrong types, a managed object without stub is a plain reference, faults are exceptions."""
    try:
        vim.vm.ConfigInfo(name=1)
    except TypeError as error:
        assert 'For "name" expected type str' in str(error)
    else:
        raise AssertionError("a wrong type was accepted")
    reference = vim.VirtualMachine("vm-1")
    assert (reference._GetMoId(), reference._stub) == ("vm-1", None)
    assert issubclass(vmodl.MethodFault, Exception)
    assert issubclass(vim.fault.InvalidLogin, vmodl.MethodFault)
    assert vmodl.MethodFault(msg="text").msg == "text"
    assert issubclass(vmodl.MethodFault, VmomiSupport.DataObject)


def test_the_client_half_still_sends_fetch() -> None:
    """Attribute access sends `Fetch(prop)`; the stand-in special-cases exactly that."""
    source = inspect.getsource(SoapAdapter.StubAdapterAccessorMixin.InvokeAccessor)
    assert 'wsdlName="Fetch"' in source
    assert 'name="prop"' in source
