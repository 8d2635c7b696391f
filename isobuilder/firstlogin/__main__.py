"""`python3 -m firstlogin`, as the program cloud-setup calls it."""

import sys

from .cli import main

sys.exit(main())
