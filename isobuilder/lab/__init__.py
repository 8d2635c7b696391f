"""The developer's cloud on one computer: a front end and nodes in QEMU, which outlive the command that starts them."""
