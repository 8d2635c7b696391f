"""The nodes of a front end: added, listed, removed, one at a time and with a result for each."""

import ipaddress
import re
from typing import Callable, Dict, List, Optional, Sequence

from ..effects import Effects, Result
from ..model import FAIL, PASS, WARN, Line
from ..shelltext import variables
from . import access, editions, rules
from .admin import LOCAL, as_admin

# Seconds: machines of a rack are switched on at one time, and some take longer than others.
RACK_PATIENCE, _RACK_PAUSE = 900, 15
# Asks for the password of root on the machine of this address; None for nobody to ask.
Ask = Callable[[str], str]


def addresses(value: str) -> List[str]:
    """Every single address of a canonical list."""
    if value == rules.NONE:
        return []
    numbers = [number for first, last in rules.ranges_of(value) for number in range(first, last + 1)]
    return [str(ipaddress.IPv4Address(number)) for number in numbers]


def registered(effects: Effects) -> List[str]:
    """The nodes that the cluster was told of."""
    return sorted(variables(effects.read(editions.CONF) or "").get("NODES", "").split(), key=_order)


def _order(address: str) -> "tuple[int, str]":
    try:
        return int(ipaddress.IPv4Address(address)), address
    except ValueError:
        return 0, address


def states(effects: Effects) -> Optional[Dict[str, str]]:
    """What the cloud says of its nodes, by address; None where it says nothing."""
    result = effects.run(*as_admin("euserv-describe-node-controllers", *LOCAL), timeout=120)
    if result.code:
        return None
    found = re.findall(r"(?m)^NODE\s+\S+\s+([0-9.]+)\s+(\S+)", result.output)
    return {address: state.lower() for address, state in found}


def add(value: str, effects: Effects, ask: Optional[Ask] = None, own: Optional[str] = None) -> List[Line]:
    """Add nodes, each by itself: what came of it, a line for each."""
    known = registered(effects)
    lines = []
    for address in addresses(value):
        if address in known and access.login(address, effects).code == 0:
            lines.append(Line(PASS, f"node {address}: known already"))
        else:
            lines.append(_add(address, effects, ask, own))
    return lines


def wait_for(value: str, effects: Effects, tell: Callable[[str], None]) -> None:
    """Wait until each of these nodes lets this front end in, or the patience for all of them is over."""
    until = effects.now() + RACK_PATIENCE
    waiting = addresses(value)
    while True:
        for address in waiting:
            access.forget(address, effects)
        waiting = [one for one in waiting if not (access.meet(one, effects) and access.login(one, effects).code == 0)]
        left = int(until - effects.now())
        if not waiting or left <= 0:
            return
        tell("  waiting for {} of its nodes, {} seconds at most: {}".format(len(waiting), left, " ".join(waiting[:4])))
        effects.sleep(min(_RACK_PAUSE, left))


def _add(address: str, effects: Effects, ask: Optional[Ask], own: Optional[str]) -> Line:
    later = f"When it does, run: cloud-setup nodes add {address}"
    access.forget(address, effects)
    if not access.meet(address, effects):
        return Line(WARN, f"node {address}: does not answer, and is skipped", later)
    entered = access.login(address, effects)
    if entered.code and "denied" in entered.output.lower() and ask is not None:
        entered = access.let_in(address, own, ask(address), effects)
        entered = access.login(address, effects) if entered.code == 0 else entered
    if entered.code:
        remedy = (
            f"It wants a password: run cloud-setup nodes add {address}, or give it the key of cloud-setup nodes key"
        )
        return Line(WARN, f"node {address}: does not let this front end in ({_last(entered)})", remedy)
    for command, what in (
        (("clusteradmin-copy-keys", address), "does not take the keys"),
        (("clusteradmin-register-nodes", address), "cannot be registered"),
    ):
        result = effects.run(*command, timeout=180)
        if result.code or address_is_refused(result):
            return Line(WARN, f"node {address}: {what} ({_last(result)})", "Is eucalyptus-nc installed there? " + later)
    return Line(PASS, f"node {address}: added")


def address_is_refused(result: Result) -> bool:
    """clusteradmin-register-nodes ends well when it refuses an address."""
    return "is not a valid IP" in result.output


def remove(value: str, effects: Effects) -> List[Line]:
    """Take nodes off the cluster's list. Instances that run there go on until somebody stops them."""
    known = registered(effects)
    lines = []
    for address in addresses(value):
        if address not in known:
            lines.append(Line(WARN, f"node {address}: is not on the list", "See: cloud-setup nodes list"))
            continue
        result = effects.run("clusteradmin-deregister-nodes", address, timeout=120)
        access.forget(address, effects)
        gone = result.code == 0 and address not in registered(effects)
        lines.append(
            Line(PASS, f"node {address}: removed")
            if gone
            else Line(FAIL, f"node {address}: is still there ({_last(result)})", f"See NODES in {editions.CONF}.")
        )
    return lines


def listed(effects: Effects) -> List[Line]:
    """All nodes, and what the cloud says of each."""
    said = states(effects)
    known = registered(effects)
    lines = []
    for address in known + sorted(set(said or ()) - set(known), key=_order):
        state = "unknown: the cloud does not say" if said is None else said.get(address, "not seen by the cloud")
        remedy = "Is it on, and does eucalyptus-nc or eucalyptus-node run there? Its log: /var/log/eucalyptus/nc.log"
        lines.append(
            Line(PASS if state == "enabled" else WARN, f"node {address}: {state}", "" if state == "enabled" else remedy)
        )
    return lines


def _last(result: Result) -> str:
    lines: Sequence[str] = [line.strip() for line in result.output.splitlines() if line.strip()]
    return lines[-1][:120] if lines else f"exit code {result.code}"
