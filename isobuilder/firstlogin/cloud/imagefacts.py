"""What machine images are like, as data: sizes, and what each release's image has where. No behaviour.

Sizes are those of Silvereye (eucalyptus/silvereye, scripts/eucalyptus-create-emi.sh), whose root file system is all of
the image here: it grows to the disk that an instance gets.
"""

from typing import Dict, NamedTuple, Tuple

SIZES: Dict[str, int] = {"small": 1534, "medium": 4606, "large": 9726}

WORK = "/var/lib/cloud-setup/image"
DISK = WORK + "/disk.img"
# Which start of the machine has mounts and loops that are ours to take away.
BUSY = WORK + "/busy"
LABEL = "root"
# By what starts the release's services: the first scripts of 6 mount what this file says, and nothing else.
FSTABS = {
    "systemd": f"LABEL={LABEL} / ext4 defaults 1 1\n",
    "sysv": f"LABEL={LABEL} / ext4 defaults 1 1\n"
    "tmpfs /dev/shm tmpfs defaults 0 0\n"
    "devpts /dev/pts devpts gid=5,mode=620 0 0\n"
    "sysfs /sys sysfs defaults 0 0\n"
    "proc /proc proc defaults 0 0\n",
}
# As installers write it: without it an update's kernel is installed, and never started.
KERNEL_UPDATES = "UPDATEDEFAULT=yes\nDEFAULTKERNEL=kernel\n"
# In bytes: where the one partition begins, as parted and sfdisk have it.
FIRST = 1 << 20
SECTOR = 512
# Each of them in e2fsprogs 1.41 already, and none that boot loaders of that time do not read.
FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,"
    "uninit_bg,dir_nlink,extra_isize"
)
# Whichever of them the system has.
PACKAGERS = ("yum", "dnf")
# A kernel and its initial RAM disk, by the kernel's version; Debian's name is the practice system's.
KERNEL, INITRDS = "vmlinuz-", ("initramfs-{}.img", "initrd.img-{}")
ARGUMENTS = f"root=LABEL={LABEL} ro console=tty0 console=ttyS0,115200n8"


class Loader(NamedTuple):
    """A boot loader: its package's program, where its boot code may be, and more words for the kernel."""

    name: str
    arguments: str
    boot_code: Tuple[str, ...] = ()


# The names of ports are those of the kernel, so that the first is eth0 on any cloud.
EXTLINUX = Loader(
    "extlinux", "net.ifnames=0 biosdevname=0", ("/usr/share/syslinux/mbr.bin", "/usr/lib/syslinux/mbr/mbr.bin")
)
GRUB_LEGACY = Loader("grub", "")
# By what starts the release's services.
LOADERS = {"systemd": EXTLINUX, "sysv": GRUB_LEGACY}

# ruff: noqa: S108 - folders of the image
# What belongs to one machine, or to whoever made the image: files that are emptied, folders, and what goes.
EMPTIED = ("/var/log", "/etc/machine-id")
CLEARED = ("/var/cache/yum", "/var/cache/dnf", "/var/lib/cloud", "/var/lib/dhclient", "/tmp", "/var/tmp", "/run")
REMOVED = (
    *("/etc/ssh/ssh_host_*", "/etc/udev/rules.d/70-persistent-*.rules", "/etc/hostname", "/etc/resolv.conf"),
    # What yum and the scripts of kickstarts leave where we work.
    *("/var/lib/cloud-setup", "/var/lib/dbus/machine-id"),
    *("/var/lib/random-seed", "/var/lib/systemd/random-seed", "/var/lib/rpm/__db*", "/var/lib/NetworkManager/*"),
    *("/root/.ssh", "/root/.bash_history", "/root/*.cfg", "/root/*.log"),
)
