"""Whether machines can run machines of their own, as node controllers do."""

from pathlib import Path

from isobuilder.boot.hardware import Accelerator

MODULES = Path("/sys/module")
# Each vendor's module says Y or N, or 1 or 0 where the kernel is older.
_ALLOWED = frozenset({"Y", "1"})
_KVM_MODULES = ("kvm_intel", "kvm_amd")


def nested_words(accelerator: Accelerator, modules: Path = MODULES) -> str:
    """What to say of nested virtualisation here. Processors of machines have all that the host's can pass on."""
    if accelerator == "tcg":
        return "nested virtualisation: only as QEMU translates it, much slower still"
    for module in _KVM_MODULES:
        switch = modules / module / "parameters" / "nested"
        if not switch.exists():
            continue
        if switch.read_text(encoding="ascii").strip() in _ALLOWED:
            return f"nested virtualisation: yes, {module} allows it"
        return (
            f"nested virtualisation: no, {module} has it switched off, so that node controllers run no instances; "
            f"to switch it on, as root and with no machine running: modprobe -r {module} && modprobe {module} nested=1"
        )
    return "nested virtualisation: this computer does not say"
