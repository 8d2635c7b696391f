"""The values that pass between the wizard's rooms. No behaviour, no knowledge of where they come from."""

from typing import Callable, Dict, Iterable, NamedTuple, Optional, Sequence, Tuple

from .effects import Effects

# Canonical values by key, as the rules gave them.
Answers = Dict[str, str]

PASS, WARN, FAIL = "pass", "warn", "fail"


class Facts(NamedTuple):
    """What the package knows of the release that it was made for (facts.json).

    `network`: ifcfg (files of the service `network`) or networkmanager (keyfiles); `init`: sysv or systemd.
    """

    title: str
    network: str
    init: str


class Role(NamedTuple):
    """What this machine was installed as, as its kickstart wrote it down; all empty where it did not.

    `bridge` is the bridge that its services expect, `cpu_flags` are alternatives: one of them should be there. `cloud`
    names the cloud that it is a part of and its version, as in eucalyptus-5, and `parts` says which: frontend, nc.
    `medium` is the label of the medium that it was installed from, `image` the kickstart of a machine image there;
    `medium_path` and `root_path` are where scripts of kickstarts expect the medium and the system that is installed.
    """

    id: str = ""
    title: str = ""
    bridge: str = ""
    memory_mib: int = 0
    disk_gib: int = 0
    cpu_flags: Tuple[str, ...] = ()
    cloud: str = ""
    parts: Tuple[str, ...] = ()
    medium: str = ""
    image: str = ""
    medium_path: str = ""
    root_path: str = ""


class Port(NamedTuple):
    """A network port of the machine: a physical one, with its Ethernet address and whether a cable is in.

    `addresses` (ADDRESS/PREFIX) are those it has now, or that the bridge has which it is in. `configured` is what its
    configuration asks for: dhcp, ADDRESS/PREFIX, or nothing.
    """

    name: str
    mac: str
    link: bool
    addresses: Tuple[str, ...] = ()
    bridge: str = ""
    configured: str = ""


class Machine(NamedTuple):
    """The machine as it is. `others` are networks of other interfaces: name and ADDRESS/PREFIX.

    `main` is the port that leads to the gateway, or the one that looks most like it. `session` is the address by which
    a remote person came in, "?" for one who came in nobody knows how, empty at the console. `time_service` is chronyd
    or ntpd, or empty. `interfaces` are all that there are, `routes` the networks (NETWORK/PREFIX) that it has a route
    to and the interface, `file_systems` where those are mounted and what is free there in MiB. `marks` are what parts
    have noted as done once and for all. `media` are the labels of the file systems that are in the machine.
    """

    facts: Facts
    role: Role
    hostname: str
    serial: str
    ports: Tuple[Port, ...]
    others: Tuple[Tuple[str, str], ...]
    main: str
    gateway: str
    name_servers: Tuple[str, ...]
    time_zone: str
    time_service: str
    time_servers: Tuple[str, ...]
    memory_mib: int
    disk_free_mib: int
    cpu_flags: Tuple[str, ...]
    session: str
    interfaces: Tuple[str, ...] = ()
    routes: Tuple[Tuple[str, str], ...] = ()
    file_systems: Tuple[Tuple[str, int], ...] = ()
    marks: Tuple[str, ...] = ()
    media: Tuple[str, ...] = ()

    def port(self, name: str) -> Optional[Port]:
        return next((port for port in self.ports if port.name == name), None)


class Question(NamedTuple):
    """One question as a row: what it is called, its rule, and when and with what default it is asked.

    `prompt` may name {port}. `default` makes a proposal out of machine and answers so far ("" for none). `asked` says
    whether the question arises, of the answers so far alone; `listing` is what to choose from. `needed`: without an
    answer in a file, somebody has to be asked. The answer of a `secret` one is never shown, logged or saved; a default
    that was made for it is shown once, to whoever takes it. A `shared` one is usually the same for many machines.
    `meaning` says what an answer comes to, of the machine and all answers ("": nothing to say).
    """

    key: str
    prompt: str
    help: str
    example: str
    rule: Callable[[str], str]
    default: Callable[[Machine, Answers], str]
    asked: Callable[[Answers], bool] = lambda _answers: True
    listing: Callable[[Machine], Sequence[str]] = lambda _machine: ()
    needed: bool = False
    secret: bool = False
    shared: bool = False
    meaning: Callable[[Machine, Answers], str] = lambda _machine, _answers: ""


class Problem(NamedTuple):
    """Something that does not fit together, at the answer `key`; a `warning` does not stop anybody.

    Without a key no answer can mend it.
    """

    key: str
    what: str
    instead: str
    warning: bool = False


class Line(NamedTuple):
    """One line of the checks before or after: its verdict (pass, warn, fail), what was seen, and the remedy."""

    verdict: str
    what: str
    remedy: str = ""


class File(NamedTuple):
    """A file as it shall be. The content of a `secret` one is never shown or written down elsewhere."""

    path: str
    content: str
    mode: int = 0o644
    secret: bool = False


class Link(NamedTuple):
    """A symbolic link as it shall be."""

    path: str
    target: str


class Absent(NamedTuple):
    """A file that shall not be there."""

    path: str


class Check(NamedTuple):
    """A look at the machine: a command that succeeds, with something in its output that fits a regular expression."""

    argv: Tuple[str, ...]
    pattern: str = ""


class Command(NamedTuple):
    """A command: run where one of the files `after` changes, or where it is `needed` as the machine is now.

    `unless` is looked at when the plan is made and again just before: where it says yes, there is nothing to do, now or
    on the way back. Until the command succeeds with output that fits `expect`, it is tried for `patience` seconds.
    Before it is run once more, after a try that failed or was cut off, the commands `again` take away what that left,
    if they can.
    Rolling back goes through the steps from last to first, and runs the commands `undo` in place of this one. `cuts`:
    it may cut off a remote session. `secret_input` is given on its standard input, and never shown.
    """

    argv: Tuple[str, ...]
    why: str
    after: Tuple[str, ...] = ()
    needed: bool = False
    undo: Tuple[Tuple[str, ...], ...] = ()
    cuts: bool = False
    timeout: int = 120
    secret_input: str = ""
    unless: Optional[Check] = None
    patience: int = 0
    expect: str = ""
    again: Tuple[Tuple[str, ...], ...] = ()


class Action(NamedTuple):
    """Something that a part does when its name is said on the command line.

    `run` takes the words that follow, the effects and the terminal, and gives the exit code. One that `changes` the
    machine is the only one at work.
    """

    name: str
    help: str
    run: Callable[..., int]
    changes: bool = False


class Part(NamedTuple):
    """One part of the configuration, such as the machine's own network: all that the engine must know of it.

    `question` finds a row by its key, `documented` are all rows, `questions` those that arise on a machine. `fits` is
    what is wrong with answers alone, `suits` what is wrong with them on this machine, `wire` what other machines say to
    them; `fits` and `suits` take answers that are not complete yet. `wanted` gives File, Link, Absent and Command in
    the order in which they are to be done. It and the checks may look at the machine through the effects that they
    are given, and change nothing. `finish` is done after the steps, each time anew, and what it does not get done can
    be done later; it is given a way to tell what takes long. `status` are a few words about it, each with its name.
    `thorough` tries it out, and cleans up. `across` is what is wrong between machines, of which places in answers files
    and all answers there are given.
    """

    question: Callable[[str], Optional[Question]]
    documented: Callable[[], Sequence[Question]]
    questions: Callable[[Machine, Answers], Sequence[Question]]
    fits: Callable[[Answers], Iterable[Problem]]
    suits: Callable[[Answers, Machine, Effects], Iterable[Problem]]
    wire: Callable[[Answers, Machine, Effects], Iterable[Problem]]
    preflight: Callable[[Answers, Machine, Effects], Sequence[Line]]
    wanted: Callable[[Answers, Machine, Effects], Sequence[object]]
    proofs: Callable[[Answers, Machine, Effects], Sequence[Line]]
    finish: Callable[[Answers, Machine, Effects, Callable[[str], None]], Iterable[Line]] = lambda *_all: ()
    status: Callable[[Answers, Machine, Effects], Sequence[Tuple[str, str]]] = lambda _answers, _machine, _effects: ()
    thorough: Callable[[Answers, Machine, Effects], Iterable[Line]] = lambda _answers, _machine, _effects: ()
    across: Callable[[Sequence[Tuple[str, Answers]]], Iterable[str]] = lambda _machines: ()
    actions: Tuple[Action, ...] = ()
