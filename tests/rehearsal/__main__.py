"""The rehearsal of the practice medium: python -m tests.rehearsal FOLDER builds it and lets its machines go their way.

All passwords and keys are made for this one time, and lie in FOLDER only.
"""

import secrets
import string
import subprocess
import sys
from pathlib import Path

from isobuilder.answers import new_key_lines
from tests.practice.mirror import build_demo, ensure_mirror, unattended
from tests.practice.server import serve

_HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Build and rehearse in a folder, with more options for the command; gives its exit code."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    # Long enough for the cloud's administrator too, who needs letters of both kinds and digits.
    password = f"Aa1-{secrets.token_hex(12)}"
    iso = _build(folder / "medium", password)
    private_key, public_key = new_key_lines()
    values = {"password": password, "private_key": private_key, "public_key": public_key}
    for source in ("topology.toml", "answers.ini"):
        text = (_HERE / source).read_text(encoding="utf-8")
        (folder / source).write_text(string.Template(text).substitute(values), encoding="utf-8")
    results = ("--json", folder / "rehearsal.json", "--junit", folder / "rehearsal.xml", "--output-dir", folder)
    rehearse = map(str, ("rehearse", folder / "topology.toml", iso, *results, *arguments[1:]))
    return subprocess.run([sys.executable, "-m", "isobuilder", *rehearse], check=False).returncode


def _build(folder: Path, password: str) -> Path:
    """The demo's medium, whose roles ask nobody while they install themselves."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
    )
    mirror = ensure_mirror()
    with serve(mirror) as url:
        if code := build_demo(folder, url, mirror, "--quiet", tables={"install": unattended(made.stdout.strip())}):
            sys.exit(code)
    (iso,) = folder.glob("*.iso")
    return iso


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
