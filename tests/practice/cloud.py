"""Packages named like those of Eucalyptus 5, with its relations and nothing in them: kickstarts ask for these names.

What CentOS and EPEL have of what it needs, and Debian has not under the same name, is here too.
"""

from tests.practice.rpms import Rpm

_VERSION = "5.1.0"


def _part(name: str, summary: str, *requires: str, also: str = "") -> Rpm:
    """One that is built with Eucalyptus: it takes others of its own version only. `also`: its name in the manuals."""
    same = f" = {_VERSION}-1"
    return Rpm(
        name,
        _VERSION,
        summary,
        requires=(
            "eucalyptus-selinux >= 0.2.5",
            *(f"{one}{same if one.startswith('euca') else ''}" for one in requires),
        ),
        provides=(f"{also}{same}",) if also else (),
    )


EUCALYPTUS = (
    _part("eucalyptus", "What all services share"),
    _part("eucalyptus-admin-tools", "Commands of administrators", "python3"),
    _part("eucalyptus-cc", "Cluster controller", "eucalyptus-common-java", also="eucalyptus-cluster"),
    _part("eucalyptus-cloud", "Cloud controller", "eucalyptus-common-java", "eucalyptus-admin-tools", "eucanetd"),
    _part("eucalyptus-common-java", "What services in Java share", "eucalyptus"),
    _part("eucalyptus-nc", "Node controller", "eucalyptus", "eucanetd", "qemu-kvm", also="eucalyptus-node"),
    _part("eucalyptus-sc", "Storage controller", "eucalyptus-common-java", also="eucalyptus-storage"),
    _part("eucalyptus-walrus", "Object storage", "eucalyptus-common-java"),
    _part("eucanetd", "Network daemon", "iproute"),
    Rpm("eucaconsole", "5.1.0", "Console", arch="noarch"),
    Rpm("eucalyptus-selinux", "0.2.5", "SELinux policy", arch="noarch"),
    Rpm("eucalyptus-service-image", "5.1.0", "Image of services that run as instances", arch="noarch"),
    Rpm("chrony", "3.4", "Keeps the time", arch="noarch"),
    Rpm("cloud-init", "19.4", "Sets an instance up when it starts", arch="noarch"),
    Rpm("cloud-utils-growpart", "0.29", "Grows a partition to its disk", arch="noarch"),
    Rpm("dracut-config-generic", "033", "Initial RAM disks for any machine", arch="noarch"),
    Rpm("qemu-kvm-ev", "2.12.0", "Virtual machines", provides=("qemu-kvm = 2.12.0",)),
)
