"""Throw-away OpenPGP keys for tests, made and used by GnuPG: the current one, and 1.4 for signatures of version 3."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Keyhome:
    """A folder of GnuPG's. Times are those that gpg is told to believe in ("20200101T000000")."""

    path: Path

    @property
    def old(self) -> Path:
        """The folder of GnuPG 1.4, which stumbles over keys of today and so gets its own."""
        return self.path / "1.4"

    def gpg(self, *arguments: str, data: bytes = b"", at: str = "", program: str = "gpg") -> bytes:
        """Run gpg; its output. Raises when it fails."""
        time = ["--faked-system-time", at] if at else []
        return subprocess.run(
            [program, "--batch", "--yes", "--quiet", "--no-permission-warning", *time, *arguments],
            input=data,
            env={**os.environ, "GNUPGHOME": os.fspath(self.old if program == "gpg1" else self.path)},
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout

    def new_key(self, algorithm: str, name: str, *, usage: str = "sign", expire: str = "never", at: str = "") -> str:
        """Make a key without a passphrase; its fingerprint."""
        self.gpg("--passphrase", "", "--quick-generate-key", name, algorithm, usage, expire, at=at)
        return self.fingerprints(name)[0]

    def fingerprints(self, name: str) -> list[str]:
        """The fingerprints of a key and its subkeys."""
        listing = self.gpg("--with-colons", "--with-subkey-fingerprint", "--list-keys", name).decode()
        return re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)

    def public(self, *fingerprints: str, armor: bool = True) -> bytes:
        return self.gpg(*(["--armor"] if armor else []), "--export", *fingerprints)

    def sign(self, fingerprint: str, data: bytes, *options: str, at: str = "") -> bytes:
        """A detached binary signature, over SHA-256 unless options say otherwise."""
        by = ["--local-user", f"{fingerprint}!", "--digest-algo", "SHA256"]
        return self.gpg(*by, *options, "--detach-sign", data=data, at=at)

    def sign_v3(self, fingerprint: str, data: bytes, *options: str) -> bytes:
        """A detached binary signature of version 3, over SHA-256 unless options say otherwise."""
        return self.gpg(
            "--local-user", fingerprint, "--force-v3-sigs", "--digest-algo", "SHA256", *options, "--detach-sign",
            data=data, program="gpg1",
        )  # fmt: skip

    def share_with_gpg1(self, fingerprint: str) -> None:
        """Let GnuPG 1.4 sign with the key too."""
        self.old.mkdir(mode=0o700, exist_ok=True)
        self.gpg("--import", data=self.gpg("--export-secret-keys", fingerprint), program="gpg1")


@contextmanager
def new_keyhome() -> Iterator[Keyhome]:
    """A folder of GnuPG's for as long as the context lasts; its path is short, for the agent's socket."""
    with tempfile.TemporaryDirectory(prefix="keys-") as folder:
        try:
            yield Keyhome(Path(folder))
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": folder}, check=True)


def gpgv_accepts(public: bytes, data: bytes, signature: bytes, folder: Path) -> bool:
    """What GnuPG's own verifier says; `public` is binary."""
    (folder / "ring.gpg").write_bytes(public)
    (folder / "data").write_bytes(data)
    (folder / "data.sig").write_bytes(signature)
    command: list[str | Path] = ["gpgv", "--homedir", folder, "--keyring", folder / "ring.gpg"]
    command += [folder / "data.sig", folder / "data"]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0


def sign_rpms(
    home: Keyhome, fingerprint: str, rpms: Sequence[Path], *, version: int = 4, digest: str = "sha256"
) -> None:
    """Sign packages in place with rpmsign, over header and header+payload; `digest` is for signatures of version 3."""
    options = ["--define", f"__gpg {shutil.which('gpg')}"]
    if version == 3:
        command = f"gpg --batch --no-armor --force-v3-sigs --digest-algo {digest} -u {fingerprint}"
        options = [
            "--define", f"__gpg {shutil.which('gpg1')}",
            "--define", f"__gpg_sign_cmd %{{__gpg}} {command} -sbo %{{__signature_filename}} %{{__plaintext_filename}}",
        ]  # fmt: skip
    subprocess.run(
        ["rpmsign", "--addsign", "--rpmv3", "--define", f"_gpg_name {fingerprint}", *options, *rpms],
        env={**os.environ, "GNUPGHOME": os.fspath(home.old if version == 3 else home.path)},
        check=True,
        capture_output=True,
        timeout=60,
    )
