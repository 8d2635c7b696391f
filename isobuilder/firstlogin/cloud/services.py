"""What makes services run and know each other, in the order in which they need it. It only says what is to be done."""

import re
from typing import List, Sequence, Tuple

from .. import journal, services
from ..effects import Effects
from ..model import Answers, Check, Command, File, Machine
from . import admin, editions, sshkeys
from .admin import as_admin, property_set
from .editions import FRONT_END, KEYS, NODE, STATE, Edition, Mode
from .questions import PASSWORD, PRIVATE_KEY
from .rules import NONE

# Seconds: Silvereye gave the cloud five minutes; a slow disk takes longer.
_PATIENCE = 900
_START = 300
_CERTIFICATE = f"{KEYS}/cloud-cert.pem"
_KEY = "/root/.ssh/id_rsa"
# What clcadmin-copy-keys brings to a cluster controller. It logs in over ssh even where it is already.
_ZONE_KEYS = ("cluster-cert.pem", "cluster-pk.pem", "node-cert.pem", "node-pk.pem")
_DATA = tuple(f"{STATE}/{name}" for name in ("db", "bukkits", "volumes"))
# Contents and not the folders: these are where file systems are mounted.
_WIPE = (
    ("find", *_DATA, "-xdev", "-mindepth", "1", "-delete"),
    ("find", KEYS, "-mindepth", "1", "(", "-name", "*.pem", "-o", "-name", "*.p12", "-o", "-empty", ")", "-delete"),
)
_DOCUMENT = "cloud.network.network_configuration"
DESCRIBE = as_admin("euserv-describe-services", "-a")


def is_initialised(effects: Effects) -> bool:
    return effects.exists(_CERTIFICATE)


def enabled(kind: str) -> str:
    """What a line of euserv-describe-services is like when a service of this type is there."""
    return rf"^SERVICE\s+{re.escape(kind)}\s.*\benabled\s*$"


def registered(zone: str, address: str) -> List[Tuple[str, str, Tuple[str, ...]]]:
    """The services of a front end: type, name, and the arguments of its registration."""
    plain = [("user-api", "user-api-1"), ("walrusbackend", "walrus-1")]
    zoned = [("cluster", f"{zone}-cc"), ("storage", f"{zone}-sc")]
    rows = [(kind, name, ("-t", kind, "-h", address, name)) for kind, name in plain]
    return rows + [(kind, name, ("-t", kind, "-h", address, "-z", zone, name)) for kind, name in zoned]


def own_address(answers: Answers, machine: Machine) -> str:
    """The address that others know this machine by."""
    said = answers.get("address", "")
    if "/" not in said:
        port = machine.port(answers.get("interface", machine.main))
        said = port.addresses[0] if port and port.addresses else ""
    return said.partition("/")[0]


def start(name: str, machine: Machine, effects: Effects, after: Sequence[str] = ()) -> List[object]:
    """What makes a service run now and from now on. One that reads files `after` is stopped by `stops` before."""
    init = machine.facts.init
    running = services.is_so(init, "running", name, effects)
    stop = services.command(init, "stop", name)
    command = services.command(init, "start", name)
    return [
        *services.enabled(init, name, effects),
        Command(command, f"{name} starts", tuple(after), needed=not running, undo=(stop,), timeout=_START),
    ]


def stops(names: Sequence[str], after: Sequence[str], machine: Machine, effects: Effects) -> List[object]:
    """What stops services that run, before files change that they read when they start."""
    init = machine.facts.init
    return [
        Command(
            services.command(init, "stop", name),
            f"{name} reads its files when it starts",
            tuple(after),
            undo=(services.command(init, "start", name),),
            timeout=_START,
        )
        for name in names
        if services.is_so(init, "running", name, effects)
    ]


def readers(edition: Edition, mode: Mode, parts: Sequence[str]) -> List[str]:
    """The services of these parts that read eucalyptus.conf when they start."""
    names = [
        *(edition.cluster_services if FRONT_END in parts else ()),
        *(edition.node_services if NODE in parts else ()),
    ]
    return names + ([edition.daemon] if set(mode.daemon) & set(parts) else [])


def front_end(answers: Answers, machine: Machine, edition: Edition, mode: Mode, effects: Effects) -> List[object]:
    """The services of a front end: initialised, started, registered, configured."""
    address, zone = own_address(answers, machine), answers["zone"]
    fresh = not is_initialised(effects)
    rows: List[object] = [
        Command(
            ("clcadmin-initialize-cloud",),
            "makes the cloud's keys and database; it may take minutes",
            needed=fresh,
            unless=Check(("test", "-e", _CERTIFICATE)),
            undo=_WIPE,
            again=_WIPE,
            timeout=_PATIENCE,
        )
    ]
    for name in edition.cloud_services:
        rows += start(name, machine, effects)
    rows.append(_wait("the cloud controller is", "eucalyptus"))
    for name in edition.cluster_services:
        rows += start(name, machine, effects, (editions.CONF,))
    for kind, name, arguments in registered(zone, address):
        rows.append(_registration(kind, name, arguments, fresh=fresh))
        rows += _after_registration(kind, zone)
    return [
        *rows,
        property_set("objectstorage.providerclient", "walrus", "objects are kept by Walrus"),
        property_set("system.dns.dnsdomain", answers["cloud-domain"], "names of the cloud are in this domain"),
        property_set("bootstrap.webservices.use_instance_dns", "true", "instances have names"),
        property_set("bootstrap.webservices.use_dns_delegation", "true", "the cloud answers for its domain"),
        _network_document() if mode.document else _no_document(),
        all_enabled(),
        *_credentials(answers),
        *_password(answers, machine),
        *_own_key(answers),
    ]


def _wait(what: str, *kinds: str) -> Command:
    why = f"waits until {what} enabled"
    pattern = r"\A" + "".join(rf"(?=[\s\S]*{enabled(kind)})" for kind in kinds)
    return Command(DESCRIBE, why, unless=Check(DESCRIBE, pattern), expect=pattern, patience=_PATIENCE)


def all_enabled() -> Command:
    """Waits for all services: before they are used, and in the end, for a run that a power failure stopped between."""
    return _wait("its services are", "eucalyptus", "user-api", "walrusbackend", "cluster", "storage")


def _registration(kind: str, name: str, arguments: Tuple[str, ...], *, fresh: bool) -> Command:
    """A service made known to the cloud. On the way back a database that goes away takes it along."""
    gone = as_admin("euserv-deregister-service", "-t", kind, name)
    return Command(
        as_admin("euserv-register-service", *arguments),
        f"the cloud knows its {kind}",
        unless=Check(DESCRIBE, rf"^SERVICE\s+{re.escape(kind)}\s(.*\s)?{re.escape(name)}\s"),
        undo=() if fresh else (gone,),
        patience=300,
    )


def _after_registration(kind: str, zone: str) -> List[object]:
    if kind == "cluster":
        sources = tuple(f"{KEYS}/{zone}/{name}" for name in _ZONE_KEYS)
        return [
            Command(
                ("cp", "-p", *sources, KEYS),
                "the cluster has the keys of its zone",
                unless=Check(("cmp", "-s", f"{KEYS}/{zone}/node-pk.pem", f"{KEYS}/node-pk.pem")),
                patience=300,
            )
        ]
    if kind == "storage":
        return [property_set(f"{zone}.storage.blockstoragemanager", "overlay", "volumes are files of this machine")]
    return []


def _network_document() -> Command:
    return Command(
        as_admin("euctl", f"{_DOCUMENT}=@{editions.DOCUMENT}"),
        "the cloud takes its network document",
        (editions.DOCUMENT,),
        unless=Check(("sh", "-c", _SAME_DOCUMENT, "sh", _DOCUMENT, editions.DOCUMENT)),
        patience=300,
    )


def _no_document() -> Command:
    """A document of an earlier mode would outdo what is in eucalyptus.conf."""
    return Command(as_admin("euctl", "-r", _DOCUMENT), "the cloud forgets its network document", (editions.DOCUMENT,))


# What the cloud has, against the file. Nothing of it is put together from answers.
_SAME_DOCUMENT = 'said=$(cloud-admin euctl --dump --format=raw "$1") && [ "$said" = "$(cat "$2")" ]'


def _credentials(answers: Answers) -> List[object]:
    """Keys for people, in a file that only root may read. What makes them never passes through here."""
    domain = answers["cloud-domain"]
    return [
        Command(
            as_admin("--into", admin.CREDENTIALS, "euare-usercreate", "-wld", domain, admin.USER),
            "keys for root's own work with the cloud",
            unless=Check(("test", "-s", admin.CREDENTIALS)),
            again=(as_admin("euare-userdel", "-r", admin.USER),),
            undo=(("rm", "-f", admin.CREDENTIALS),),
            patience=300,
        ),
        File(admin.REGION_FILE, f"[global]\ndefault-region = {domain}\n", 0o600),
    ]


def _password(answers: Answers, machine: Machine) -> List[object]:
    if PASSWORD not in answers or PASSWORD in machine.marks:
        return []
    return [
        Command(
            as_admin("euare-useraddloginprofile", "-u", admin.USER),
            f"the console's {admin.USER} has a password",
            needed=True,
            # Without a terminal it reads the password there, and once more to be sure.
            secret_input="{0}\n{0}\n".format(answers[PASSWORD]),
            again=(as_admin("euare-userdelloginprofile", "-u", admin.USER),),
            # The machine may just have started again.
            patience=300,
        ),
        File(f"{journal.MARKS}/{PASSWORD}", "", 0o600),
    ]


def _own_key(answers: Answers) -> List[object]:
    """The key that this front end logs in to its nodes with: the one that its answers have, or a new one."""
    private = answers.get(PRIVATE_KEY, NONE)
    if private != NONE:
        return [
            File(_KEY, sshkeys.private_file(private), 0o600, secret=True),
            File(f"{_KEY}.pub", f"{sshkeys.public_key(private)} front end\n"),
        ]
    return [
        Command(
            ("ssh-keygen", "-q", "-t", "rsa", "-b", "4096", "-N", "", "-C", "front end", "-f", _KEY),
            "the key that this front end shows to its nodes",
            unless=Check(("test", "-s", f"{_KEY}.pub")),
            again=(("rm", "-f", _KEY, f"{_KEY}.pub"),),
            undo=(("rm", "-f", _KEY, f"{_KEY}.pub"),),
        )
    ]


def console(machine: Machine, edition: Edition, effects: Effects) -> List[object]:
    return start(edition.console, machine, effects)


def own_node(answers: Answers, machine: Machine) -> List[object]:
    """A cloud in a box has its node controller on the same machine, and its keys already."""
    address = own_address(answers, machine)
    known = Check(("grep", "-E", f'^NODES="(.* )?{re.escape(address)}( .*)?"', editions.CONF))
    return [
        Command(
            ("clusteradmin-register-nodes", address),
            "the cluster knows the node controller on this machine",
            unless=known,
            undo=(("clusteradmin-deregister-nodes", address),),
        )
    ]
