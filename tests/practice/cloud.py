"""Packages named and laid out like those of Eucalyptus 5, with stand-ins for its services and commands in them.

What CentOS and EPEL have of what it needs, and Debian has not under the same name, is here too.
"""

from pathlib import Path

from tests.practice.euca.knowledge import CONF, STYLESHEET
from tests.practice.rpms import Rpm

_VERSION = "5.1.0"
_HERE = Path(__file__).parent / "euca"
_HOME = "/usr/share/eucalyptus-stand-in"
_PROGRAM = f"{_HOME}/stand-in"
_MODULES = tuple(f"{_HOME}/euca/{path.name}" for path in sorted(_HERE.glob("*.py")))
_PROGRAM_TEXT = f"""\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "{_HOME}")
from euca.machine import main

sys.exit(main())
"""
_UNITS = "/usr/lib/systemd/system"
_STATE = "/var/lib/eucalyptus"
_FOLDERS = tuple(
    f"{_STATE}{name}" for name in ("", "/bukkits", "/db", "/instances", "/instances/cache", "/keys", "/volumes")
)
_UNIT = """\
[Unit]
Description=Stand-in for {name} of Eucalyptus: it listens, and runs no instance
After=network.target

[Service]
Type=notify
ExecStart={home}/serve {name}
RuntimeDirectory=eucalyptus
RuntimeDirectoryPreserve=yes

[Install]
WantedBy=multi-user.target
"""
_ADMINISTRATION = (
    *("euare-accountlist", "euare-useraddloginprofile", "euare-usercreate", "euare-userdel"),
    *("euare-userdelloginprofile", "euca-delete-bundle", "euca-deregister", "euca-describe-availability-zones"),
    *("euca-describe-images", "euca-install-image", "euca-modify-image-attribute", "euctl"),
    *("euserv-deregister-service", "euserv-describe-node-controllers", "euserv-describe-services"),
    "euserv-register-service",
)
# The commands of each package, all links to the one program; and the services.
_COMMANDS = {
    "eucalyptus-admin-tools": tuple(f"/usr/bin/{name}" for name in _ADMINISTRATION),
    "eucalyptus-cc": tuple(
        f"/usr/sbin/clusteradmin-{name}" for name in ("copy-keys", "deregister-nodes", "register-nodes")
    ),
    "eucalyptus-cloud": (
        "/usr/sbin/clcadmin-assume-system-credentials",
        "/usr/sbin/clcadmin-initialize-cloud",
    ),
}
_SERVICES = {
    "eucaconsole": "eucaconsole",
    "eucalyptus-cloud": "eucalyptus-cloud",
    "eucalyptus-nc": "eucalyptus-node",
    "eucanetd": "eucanetd",
    "scsi-target-utils": "tgtd",
}
_DHCP = "/usr/sbin/dhcpd"
_FILES = {
    "eucalyptus": ("/etc/eucalyptus", "/etc/eucalyptus/eucalyptus.conf", _HOME, _PROGRAM, f"{_HOME}/euca", *_MODULES),
    "eucalyptus-nc": ("/etc/eucalyptus/libvirt.xsl",),
    "dhcp": (_DHCP,),
}


def _part(name: str, summary: str, *requires: str, also: str = "") -> Rpm:
    """One that is built with Eucalyptus: it takes others of its own version only. `also`: its name in the manuals."""
    same = f" = {_VERSION}-1"
    return Rpm(
        name,
        _VERSION,
        f"Stand-in for rehearsals: {summary}",
        requires=(
            "eucalyptus-selinux >= 0.2.5",
            *(f"{one}{same if one.startswith('euca') else ''}" for one in requires),
        ),
        provides=(f"{also}{same}",) if also else (),
        files=_files(name),
    )


def _plain(name: str, version: str, summary: str, *, provides: tuple[str, ...] = ()) -> Rpm:
    requires = ("eucalyptus",) if name in _SERVICES else ()
    return Rpm(name, version, summary, arch="noarch", requires=requires, provides=provides, files=_files(name))


def _files(name: str) -> tuple[str, ...]:
    service = (f"{_UNITS}/{_SERVICES[name]}.service",) if name in _SERVICES else ()
    own = _FILES.get(name, ())
    folders = (*_FOLDERS, f"{_HOME}/serve") if name == "eucalyptus" else ()
    return (*own, *folders, *_COMMANDS.get(name, ()), *service)


EUCALYPTUS = (
    _part("eucalyptus", "what all services share", "python3"),
    _part("eucalyptus-admin-tools", "commands of administrators", "eucalyptus", "python3"),
    _part(
        "eucalyptus-cc", "cluster controller", "eucalyptus-common-java", "openssh-clients", also="eucalyptus-cluster"
    ),
    _part(
        *("eucalyptus-cloud", "cloud controller"),
        *("eucalyptus-common-java", "eucalyptus-admin-tools", "eucanetd"),
    ),
    _part("eucalyptus-common-java", "what services in Java share", "eucalyptus"),
    _part("eucalyptus-nc", "node controller", "eucalyptus", "eucanetd", "qemu-kvm", also="eucalyptus-node"),
    _part(
        "eucalyptus-sc", "storage controller", "eucalyptus-common-java", "scsi-target-utils", also="eucalyptus-storage"
    ),
    _part("eucalyptus-walrus", "object storage", "eucalyptus-common-java"),
    _part("eucanetd", "network daemon", "eucalyptus", "dhcp", "iproute", "iputils-arping"),
    _plain("eucaconsole", _VERSION, "Stand-in for rehearsals: console"),
    _plain("eucalyptus-selinux", "0.2.5", "SELinux policy"),
    _plain("eucalyptus-service-image", _VERSION, "Image of services that run as instances"),
    _plain("cloud-init", "19.4", "Sets an instance up when it starts"),
    _plain("cloud-utils-growpart", "0.29", "Grows a partition to its disk"),
    _plain("dhcp", "4.2.5", "Stand-in for rehearsals: DHCP server"),
    _plain("dracut-config-generic", "033", "Initial RAM disks for any machine"),
    _plain("qemu-kvm-ev", "2.12.0", "Virtual machines", provides=("qemu-kvm = 2.12.0",)),
    _plain("scsi-target-utils", "1.0.55", "Stand-in for rehearsals: volumes over iSCSI"),
)


def write_files(tree: Path) -> None:
    """Write the files of all these packages into `tree`."""
    for folder in (*_FOLDERS, "/etc/eucalyptus", f"{_HOME}/euca", _UNITS, "/usr/bin", "/usr/sbin"):
        (tree / folder[1:]).mkdir(parents=True, exist_ok=True)
    texts = {
        "/etc/eucalyptus/eucalyptus.conf": CONF["7"],
        "/etc/eucalyptus/libvirt.xsl": STYLESHEET,
        _DHCP: "#!/bin/sh\necho 'dhcpd: a stand-in, for rehearsals' >&2\n",
        _PROGRAM: _PROGRAM_TEXT,
        **{f"{_HOME}/euca/{path.name}": path.read_text(encoding="utf-8") for path in _HERE.glob("*.py")},
        **{f"{_UNITS}/{name}.service": _UNIT.format(name=name, home=_HOME) for name in _SERVICES.values()},
    }
    for path, text in texts.items():
        (tree / path[1:]).write_text(text, encoding="utf-8")
        (tree / path[1:]).chmod(0o755 if path in (_DHCP, _PROGRAM) else 0o644)
    for link in (f"{_HOME}/serve", *(link for links in _COMMANDS.values() for link in links)):
        (tree / link[1:]).symlink_to(_PROGRAM)
