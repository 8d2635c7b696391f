"""The node controller's part: virtualization of the CPU, instances' devices, disk for them, hooks.

libvirt.xsl turns a description of an instance into what libvirt starts, and one of a volume into a disk. What is
changed in it is small, stands in comments of ours, and goes away without a trace. Virtio needs no change there: the
stylesheet asks for what USE_VIRTIO_ROOT, _DISK and _NET in eucalyptus.conf say.
"""

import re
from typing import Dict, Iterator, List, Optional

from ..effects import Effects
from ..model import FAIL, PASS, WARN, Answers, File, Line, Link, Machine, Problem
from . import editions, rules, sizes

SITE_HOOKS = "/etc/cloud-setup/nc-hooks"
_KVM = "/dev/kvm"
_PREFIX = "site-"
_HUGE_PAGES = "<memoryBacking><hugepages/></memoryBacking>"
_OURS = "<!-- cloud-setup --> "
# Reads from the host's cache, and no write is done before it is on the volume.
_CACHED, _UNCACHED = "writethrough", "none"


class StylesheetError(ValueError):
    """The stylesheet is not as it was expected: what is missing in it."""


def _template(text: str, match: str) -> "re.Match[str]":
    found = re.search(rf'(?s)<xsl:template\s+match="{match}"\s*>.*?</xsl:template>', text)
    if found is None:
        raise StylesheetError(f'no template for "{match}"')
    return found


def stylesheet(before: str, *, huge_pages: bool, cached_volumes: bool) -> str:
    """libvirt.xsl with these options on or off. Raises StylesheetError."""
    return _cached(_huge(before, wanted=huge_pages), wanted=cached_volumes)


def _huge(text: str, *, wanted: bool) -> str:
    text = re.sub(rf"\n[ \t]*{re.escape(_OURS + _HUGE_PAGES)}", "", text)
    if not wanted:
        return text
    template = _template(text, "/instance")
    if "<memoryBacking>" in template.group():
        # Somebody has written such an element by hand.
        raise StylesheetError("a memoryBacking that is not ours")
    memory = re.search(r"(?s)\n([ \t]*)<memory>.*?</memory>", template.group())
    if memory is None:
        raise StylesheetError("no memory for instances")
    place = template.start() + memory.end()
    return f"{text[:place]}\n{memory.group(1)}{_OURS}{_HUGE_PAGES}{text[place:]}"


def _cached(text: str, *, wanted: bool) -> str:
    if not wanted and f'cache="{_CACHED}"' not in text:
        return text
    template = _template(text, "/volume")
    now = _CACHED if not wanted else _UNCACHED
    then = _UNCACHED if not wanted else _CACHED
    changed, number = re.subn(rf'(<driver\b[^>]*\bcache=)"{now}"', rf'\1"{then}"', template.group())
    if wanted and not number and f'cache="{_CACHED}"' not in template.group():
        raise StylesheetError("no driver of volumes that says how to cache")
    return text[: template.start()] + changed + text[template.end() :]


def variables(answers: Answers) -> Dict[str, str]:
    """Variables of eucalyptus.conf for devices and disk."""
    virtio = "1" if answers["virtio"] == rules.YES else "0"
    found = {f"USE_VIRTIO_{what}": virtio for what in ("ROOT", "DISK", "NET")}
    for key, name in (("instance-disk", "NC_WORK_SIZE"), ("image-cache", "NC_CACHE_SIZE")):
        if answers[key] != rules.AUTO:
            found[name] = answers[key]
    return found


def absent(answers: Answers) -> List[str]:
    """Variables that are to be absent: the node controller chooses."""
    pairs = (("instance-disk", "NC_WORK_SIZE"), ("image-cache", "NC_CACHE_SIZE"))
    return [name for key, name in pairs if answers[key] == rules.AUTO]


def _changed(answers: Answers, effects: Effects) -> Optional[str]:
    before = effects.read(editions.STYLESHEET)
    if before is None:
        return None
    return stylesheet(
        before,
        huge_pages=answers.get("huge-pages") == rules.YES,
        cached_volumes=answers.get("volume-cache") == rules.YES,
    )


def suits(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Problem]:
    """What of the answers does not fit this node."""
    try:
        _changed(answers, effects)
    except StylesheetError as error:
        key = "volume-cache" if answers.get("volume-cache") == rules.YES else "huge-pages"
        said = f"{editions.STYLESHEET} is not as the package brings it: {error}"
        yield Problem(key, said, "Say no, and change the file by hand.")
    if answers.get("huge-pages") == rules.YES and not _huge_pages_set_aside(effects):
        said = "No huge pages are set aside on this machine, and instances would not start"
        instead = "Set some aside: vm.nr_hugepages in /etc/sysctl.conf, 512 for each GiB; then restart."
        yield Problem("huge-pages", said, instead, warning=True)
    proposed = sizes.stores(machine)
    given = [answers.get(key, rules.AUTO) for key in ("instance-disk", "image-cache")]
    work, cache = (own if one == rules.AUTO else int(one) for own, one in zip(proposed, given))
    # What is set already has taken its space; the figures are of what is left.
    if given != [rules.AUTO, rules.AUTO] and not effects.exists(editions.INSTANCES + "/work"):
        said = sizes.overfull(machine, work, cache)
        if said:
            yield Problem("instance-disk", said, "Give less, or make room.")


def _huge_pages_set_aside(effects: Effects) -> bool:
    found = re.search(r"(?m)^HugePages_Total:\s+([0-9]+)$", effects.read("/proc/meminfo") or "")
    return found is not None and int(found.group(1)) > 0


def preflight(machine: Machine, effects: Effects) -> Iterator[Line]:
    """Whether this machine can run instances."""
    flag = next((one for one in ("vmx", "svm") if one in machine.cpu_flags), None)
    if flag is None:
        remedy = "Switch VT-x or AMD-V on in the firmware's setup, or pass it through to this virtual machine."
        yield Line(FAIL, "instances: the CPU has neither VT-x nor AMD-V", remedy)
        return
    if not effects.exists(_KVM):
        module = "kvm_intel" if flag == "vmx" else "kvm_amd"
        remedy = f"Run: modprobe {module}; dmesg then says why not. If the firmware has it off, switch it on there."
        yield Line(FAIL, f"instances: the CPU has {flag}, and {_KVM} is missing", remedy)
        return
    yield Line(PASS, f"instances: {_KVM} is there")


def site_hooks(effects: Effects) -> List[Link]:
    """The site's own hooks, where the node controller looks for them."""
    names = [name for name in effects.names(SITE_HOOKS) if re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", name)]
    runnable = [name for name in names if effects.mode(f"{SITE_HOOKS}/{name}") & 0o111]
    return [Link(f"{editions.HOOKS}/{_PREFIX}{name}", f"{SITE_HOOKS}/{name}") for name in runnable]


def hook_lines(effects: Effects) -> Iterator[Line]:
    """A word about hooks that others could change: they run as root."""
    for link in site_hooks(effects):
        if effects.mode(link.target) & 0o022:
            yield Line(WARN, f"hook: others may write {link.target}", f"Run: chmod go-w {link.target}")


def wanted(answers: Answers, effects: Effects) -> List[object]:
    """What is to be done on a node besides its configuration."""
    rows: List[object] = list(site_hooks(effects))
    text = _changed(answers, effects)
    if text is not None:
        rows.append(File(editions.STYLESHEET, text, effects.mode(editions.STYLESHEET)))
    return rows
