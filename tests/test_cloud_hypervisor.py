"""What a node does to its stylesheet: xsltproc turns descriptions into what libvirt would get."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobuilder.firstlogin.cloud import hypervisor
from isobuilder.firstlogin.cloud.hypervisor import StylesheetError, stylesheet
from tests.cloud_cases import answers, machine
from tests.firstlogin_helpers import configure
from tests.practice.euca.knowledge import STYLESHEET

INSTANCE = """<instance><hypervisor type="kvm"/><name>i-1</name><os platform="linux" virtioRoot="{virtio}"/>
<memoryKB>262144</memoryKB><disks><diskPath>/disk</diskPath></disks></instance>"""
VOLUME = '<volume><hypervisor type="kvm"/><diskPath>/dev/sdx</diskPath></volume>'


def transformed(text: str, description: str, folder: Path) -> ET.Element:
    program = shutil.which("xsltproc")
    assert program, "xsltproc is not installed"
    (folder / "libvirt.xsl").write_text(text)
    (folder / "description.xml").write_text(description)
    done = subprocess.run(
        [program, "--nonet", folder / "libvirt.xsl", folder / "description.xml"], capture_output=True, check=True
    )
    assert done.stderr == b""
    return ET.fromstring(done.stdout)


@pytest.mark.parametrize("huge", [False, True])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("virtio", ["true", "false"])
def test_what_libvirt_gets(huge: bool, cached: bool, virtio: str, tmp_path: Path) -> None:  # noqa: FBT001 - of the table
    text = stylesheet(STYLESHEET, huge_pages=huge, cached_volumes=cached)
    domain = transformed(text, INSTANCE.format(virtio=virtio), tmp_path)
    assert (domain.find("memoryBacking/hugepages") is not None) == huge
    assert domain.findtext("memory", "").strip() == "262144"
    disk = domain.find("devices/disk/driver")
    assert disk is not None
    assert disk.get("cache") == "none"
    target = domain.find("devices/disk/target")
    assert target is not None
    assert target.get("bus") == ("virtio" if virtio == "true" else "scsi")
    driver = transformed(text, VOLUME, tmp_path).find("driver")
    assert driver is not None
    assert driver.get("cache") == ("writethrough" if cached else "none")
    assert driver.get("name") == "qemu"


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=5))
def test_options_go_on_and_off_without_a_trace(options: list[tuple[bool, bool]]) -> None:
    text = STYLESHEET
    for huge, cached in options:
        text = stylesheet(text, huge_pages=huge, cached_volumes=cached)
        assert stylesheet(text, huge_pages=huge, cached_volumes=cached) == text
    assert stylesheet(text, huge_pages=False, cached_volumes=False) == STYLESHEET


@pytest.mark.parametrize(
    ("changed", "options"),
    [
        (STYLESHEET.replace("/instance", "/domain"), {"huge_pages": True, "cached_volumes": False}),
        (re.sub(r"(?s)<memory>.*</memory>", "", STYLESHEET), {"huge_pages": True, "cached_volumes": False}),
        (
            STYLESHEET.replace("<memory>", "<memoryBacking></memoryBacking><memory>"),
            {"huge_pages": True, "cached_volumes": False},
        ),
        (STYLESHEET.replace('"/volume"', '"/disk"'), {"huge_pages": False, "cached_volumes": True}),
        (STYLESHEET.replace('cache="none"', 'cache="unsafe"'), {"huge_pages": False, "cached_volumes": True}),
        ("", {"huge_pages": True, "cached_volumes": True}),
    ],
)
def test_a_stylesheet_that_is_not_as_it_was_is_left_alone_and_said(changed: str, options: dict[str, bool]) -> None:
    with pytest.raises(StylesheetError):
        stylesheet(changed, **options)
    assert stylesheet(changed, huge_pages=False, cached_volumes=False) == changed


@pytest.mark.parametrize("style", ["6", "7"])
def test_options_of_a_node(style: str, tmp_path: Path) -> None:
    one = machine(tmp_path / "root", style, "node")
    values = answers("EDGE", "node", huge_pages="yes", virtio="no", volume_cache="yes", image_cache="auto")
    code, said = configure(one, values)
    assert code == 0, said
    assert "No huge pages are set aside" in " ".join(said.split())
    conf = one._conf()
    assert [conf[f"USE_VIRTIO_{what}"] for what in ("ROOT", "DISK", "NET")] == ["0", "0", "0"]
    assert conf["NC_WORK_SIZE"] == "512"
    assert "NC_CACHE_SIZE" not in conf
    assert "hugepages" in one.read("etc/eucalyptus/libvirt.xsl")
    code, said = configure(one, answers("EDGE", "node"))
    assert code == 0, said
    assert one.read("etc/eucalyptus/libvirt.xsl") == STYLESHEET
    assert one._conf()["USE_VIRTIO_ROOT"] == "1"


def test_a_stylesheet_of_somebodys_own_is_refused_at_the_question(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "node")
    one.write("etc/eucalyptus/libvirt.xsl", "<mine/>")
    code, said = configure(one, answers("EDGE", "node", huge_pages="yes"))
    assert code == 3
    assert "huge-pages: /etc/eucalyptus/libvirt.xsl is not as the package brings it" in " ".join(said.split())
    assert one.read("etc/eucalyptus/libvirt.xsl") == "<mine/>"


@pytest.mark.parametrize(
    ("flags", "device", "why"),
    [
        ("fpu sse2", True, "neither VT-x nor AMD-V"),
        ("fpu svm", False, "modprobe kvm_amd"),
        ("fpu vmx", False, "modprobe kvm_intel"),
    ],
)
def test_a_machine_that_cannot_run_instances(flags: str, device: bool, why: str, tmp_path: Path) -> None:  # noqa: FBT001
    one = machine(tmp_path / "root", "7", "node")
    one.write("proc/cpuinfo", f"processor : 0\nflags : {flags}\n")
    if not device:
        Path(one.path("dev/kvm")).unlink()
    before = one.commands()
    code, said = configure(one, answers("EDGE", "node"))
    assert code == 4
    assert why in " ".join(said.split())
    assert one.commands() == before


def test_hooks_of_the_site_are_where_the_node_controller_looks(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "6", "node")
    one.write("etc/cloud-setup/nc-hooks/tune.sh", "#!/bin/sh\n", 0o777)
    one.write("etc/cloud-setup/nc-hooks/notes.txt", "not to be run\n", 0o644)
    one.write("etc/cloud-setup/nc-hooks/.hidden", "#!/bin/sh\n", 0o755)
    code, said = configure(one, answers("MANAGED", "node"))
    assert code == 0, said
    assert "others may write /etc/cloud-setup/nc-hooks/tune.sh" in " ".join(said.split())
    hooks = Path(one.path("etc/eucalyptus/nc-hooks"))
    assert [path.name for path in hooks.iterdir()] == ["site-tune.sh"]
    assert str((hooks / "site-tune.sh").readlink()) == hypervisor.SITE_HOOKS + "/tune.sh"


def test_disk_that_is_not_there_is_refused(tmp_path: Path) -> None:
    one = machine(tmp_path / "root", "7", "node")
    code, said = configure(one, answers("EDGE", "node", instance_disk="900T"))
    assert code == 3
    assert "are more than the" in " ".join(said.split())
