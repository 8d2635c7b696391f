#!/bin/sh
# Starts the wizard with the release's own Python; nothing of the caller's Python settings reaches it.
@LIBRARIES@exec @PYTHON@ -I -B /usr/share/cloud-setup "$@"
