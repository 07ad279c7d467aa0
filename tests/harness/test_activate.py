"""What goes to a cloud and what does not, proofs, and timelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import responses

import cloudstack_mock
from cloudstack_mock import Cloud, CloudStackError, LeakedError, as_sent
from cloudstack_mock._interception import Route

URL = "https://cloud.example.org/client/api"


@pytest.fixture(scope="module")
def lab() -> Iterator[Cloud]:
    with cloudstack_mock.activate(URL, other_urls=["https://passes.invalid/"], seed=3) as cloud:
        cloud.import_vm("web01")
        yield cloud


def test_a_refusal_says_what_was_looked_at(lab: Cloud) -> None:
    """A request that leads nowhere is refused with each rule and why it does not fit, and without its query."""
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get("https://other.example.org/x?key=secret")
    text = str(caught.value)
    assert "leads to no active cloud" in text
    assert "the host is 'other.example.org', not 'cloud.example.org'" in text
    assert "what begins with https://passes.invalid/" in text
    assert "secret" not in text


def test_other_urls_pass_as_chosen(lab: Cloud) -> None:
    """What begins with a given text goes out to the network, where there is no such host."""
    with pytest.raises(requests.ConnectionError, match=r"passes\.invalid"):
        requests.get("https://passes.invalid/x", timeout=5)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://cloud.example.org/client/api", None),
        ("https://CLOUD.example.org/client/api/?x=1", None),
        ("http://cloud.example.org/client/api", "scheme"),
        ("https://cloud.example.org:8443/client/api", "host"),
        ("https://cloud.example.org/client/apis", "path"),
    ],
)
def test_what_belongs_to_a_cloud(url: str, reason: str | None) -> None:
    """A cloud has its URL and what is below, by scheme, host and path."""
    refusal = Route(URL, lambda *_: pytest.fail("asked")).refusal(url)
    assert refusal is None if reason is None else f"the {reason} " in str(refusal)


def test_two_clouds_are_apart(lab: Cloud) -> None:
    """Another URL is another world; a second cloud at the same URL is refused."""
    with cloudstack_mock.activate("https://second.example.org/api") as second:
        assert second.client.listVirtualMachines(listall=True) == {}
        assert lab.client.listVirtualMachines(listall=True)["count"] == 1
        with pytest.raises(requests.ConnectionError):  # the last one's wish counts
            requests.get("https://passes.invalid/x")
    with pytest.raises(ValueError, match="another cloud is active there"), cloudstack_mock.activate(URL):
        pass


def test_wrong_urls_and_transports_are_refused() -> None:
    """Both say what was expected."""
    with pytest.raises(ValueError, match="expected an http or https URL"):
        Route("cloud", lambda *_: pytest.fail("asked"))
    with pytest.raises(ValueError, match="expected 'memory' or 'sockets'"):
        cloudstack_mock.activate(transport="pigeon")  # type: ignore[arg-type]


def test_nothing_stays_patched(lab: Cloud) -> None:
    """A block that ends in an exception leaves requests as it was; `responses` of the user's own still works."""
    with responses.RequestsMock() as own:
        own.add(responses.GET, "https://api.example.org/", json={"a": 1})
        assert requests.get("https://api.example.org/").json() == {"a": 1}


def test_proofs_of_what_was_seen(lab: Cloud) -> None:
    """Commands are found by name, facts and host; order can be asked for."""
    converted = lab.saw("ConvertInstanceCommand", sourceInstance__instanceName="web*", wait=lambda s: s > 0)
    host = converted.found[0].fields["host"]
    assert converted.once()
    assert converted.on(str(host)).once()
    assert converted.before(lab.saw("ImportConvertedInstanceCommand"))
    assert lab.saw("Login").at_least(1)
    assert lab.saw("importVm", name="web01").found[0].kind in ("api", "job")
    assert lab.saw("StopCommand").never()
    assert not lab.saw("StopCommand")


@pytest.mark.parametrize(
    ("name", "facts", "host", "said"),
    [
        (
            "ConvertInstanceCommand",
            {"wait": -1},
            None,
            r"nearest #\d+ agent ConvertInstanceCommand sent kvm\d: wait is",
        ),
        ("ConvertInstanceCommand", {"nonsense": 1}, None, "nonsense is not there, not 1"),
        ("ConvertInstanceCommand", {}, "kvm9", "not on kvm9"),
        ("ConvertInstanceComand", {}, None, "near it are ConvertInstanceCommand"),
    ],
)
def test_a_failed_proof_says_what_came_nearest(
    lab: Cloud, name: str, facts: dict[str, Any], host: str | None, said: str
) -> None:
    """The nearest entry and why it does not fit are part of the error."""
    wanted = lab.saw(name, **facts)
    with pytest.raises(AssertionError, match=said):
        (wanted.on(host) if host else wanted).once()


def test_other_failed_proofs(lab: Cloud) -> None:
    """Too many, any at all, and the wrong order are told with the entries."""
    converted = lab.saw("ConvertInstanceCommand")
    with pytest.raises(AssertionError, match="expected 2, saw 1"):
        converted.times(2)
    with pytest.raises(AssertionError, match="expected none, saw 1"):
        converted.never()
    with pytest.raises(AssertionError, match="came after"):
        lab.saw("ImportConvertedInstanceCommand").before(converted)


def test_timelines(lab: Cloud) -> None:
    """A job is a sequence diagram as text, Mermaid and SVG, with hosts and vCenter as parties."""
    (job,) = lab.import_jobs()
    timeline = lab.timeline(job)
    assert "vCenter" in timeline.parties
    assert "server -> vCenter" in str(timeline)
    assert "virt-v2v ended  status=0" in str(timeline)
    assert timeline.mermaid().startswith("sequenceDiagram\n    participant p0 as caller\n")
    picture = ElementTree.fromstring(timeline.svg())
    assert len(picture.findall("{http://www.w3.org/2000/svg}text")) == len(timeline.parties) + len(timeline.steps)
    with pytest.raises(ValueError, match="knows no job"):
        lab.timeline("none")


def test_ids_are_the_same_in_each_world_of_a_seed(lab: Cloud) -> None:
    """Two worlds of one seed give the same ids for the same calls."""
    with cloudstack_mock.activate("https://ids.example.org", seed=3) as cloud:
        wanted = cloud.import_vm("web01")["id"]
    lab.reset()
    assert lab.import_vm("web01")["id"] == wanted


def test_leaks_raise(lab: Cloud) -> None:
    """What a failed import leaves can be raised for."""
    lab.fault("vddk.crash", vm="db01")
    with pytest.raises(CloudStackError):
        lab.import_vm("db01")
    with pytest.raises(LeakedError, match="by the import of db01"):
        lab.raise_for_leaks()


def test_parameters_as_cloudstack_reads_them() -> None:
    """Truth values, lists, maps and absent values are written as the API wants them."""
    given = {"a": True, "b": [1, 2], "c": [{"x": 1}, {"x": 2}], "d": {"k": "v"}, "e": None, "f": "text"}
    assert as_sent(given) == {"a": "true", "b": "1,2", "c[0].x": "1", "c[1].x": "2", "d[0].k": "v", "f": "text"}


def test_an_unknown_vm_names_those_that_are_there(lab: Cloud) -> None:
    """A typing error in a VM's name is told with the names."""
    with pytest.raises(ValueError, match=r"no VM 'web99': there are .*web01"):
        lab.import_parameters("web99")


def test_a_custom_offering_takes_a_vm_of_the_lab() -> None:
    """Every VM fits the offering without limits; the one with a least size is refused as in CloudStack."""
    with cloudstack_mock.activate("https://custom.example.org/client/api") as cloud:
        offerings = {each["name"]: each["id"] for each in cloud.client.listServiceOfferings()["serviceoffering"]}
        vm = cloud.import_vm("web01", serviceofferingid=offerings["Unlimited Instance"], details=[{"cpuSpeed": 1500}])
        assert (vm["cpunumber"], vm["cpuspeed"], vm["memory"]) == (2, 1500, 4096)
        with pytest.raises(CloudStackError):
            cloud.import_vm("db01", serviceofferingid=offerings["Custom Instance"])
