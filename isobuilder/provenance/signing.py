"""A signature over the checksum file of an image, by the user's own gpg and one of their keys."""

import subprocess
from collections.abc import Callable

from isobuilder.errors import HostError

_GPG = ["gpg", "--batch", "--no-tty"]


def signing_with(key: str) -> Callable[[bytes], bytes]:
    """What makes an armored signature, apart from what it is over, by the secret key `key`: as gpg's --local-user.

    Raises HostError when gpg or that key is not there, before any work is done, and later when gpg does not sign.
    """
    _run(["--list-secret-keys", "--", key], b"", f"gpg has no secret key {key!r}")
    return lambda data: _run(
        [f"--local-user={key}", "--armor", "--detach-sign", "--output", "-"], data, f"gpg does not sign with {key!r}"
    )


def _run(arguments: list[str], data: bytes, failed: str) -> bytes:
    try:
        done = subprocess.run([*_GPG, *arguments], input=data, capture_output=True, check=False)
    except OSError as error:
        raise HostError(f"--sign: gpg cannot be run: {error.strerror}", hint="Install GnuPG.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        raise HostError(
            f"--sign: {failed}",
            details=said[-5:],
            hint="gpg --list-secret-keys shows those that it has; GNUPGHOME names another folder of keys.",
        )
    return done.stdout
