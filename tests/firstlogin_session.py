"""Runs the wizard on a scratch machine, for tests that sit at its terminal: ROOT STYLE ARGUMENTS...

SSH_CONNECTION is what the person's session has. Python 3.6 runs this as well.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from isobuilder.firstlogin.cli import main
from tests.scratch_machine import Scratch
from tests.standin_cloud import CloudMachine

if __name__ == "__main__":
    environ = {name: os.environ[name] for name in ("TERM", "SSH_CONNECTION", "NO_COLOR") if name in os.environ}
    kind = CloudMachine if os.path.exists(sys.argv[1] + ".cloud") else Scratch
    sys.exit(main(sys.argv[3:], kind(sys.argv[1], sys.argv[2]).effects(environ=environ)))
