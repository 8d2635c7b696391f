"""The two units in which places on a medium are counted, in bytes."""

# A logical block of ISO 9660 (ECMA-119, 6.2.2), and a sector of a CD: what the file system counts.
BLOCK = 2048
# A sector of a disk: what partition tables, FAT and firmware count.
SECTOR = 512
