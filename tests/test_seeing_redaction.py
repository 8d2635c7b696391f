"""No secret of a kickstart or a kernel line is shown, and all else is."""

import pytest

from isobuilder.seeing.redaction import MARK, redacted, redacted_words

SECRET = "Tr0ub4dor"
HASH = f"$6$salt${SECRET}/."


@pytest.mark.parametrize(
    "line",
    [
        f"rootpw {SECRET}",
        f"rootpw --iscrypted {HASH}",
        f"rootpw --plaintext '{SECRET} {SECRET}'",
        f'root"pw" {SECRET}',
        f"rootpw '{SECRET}",
        f"  rootpw\t{SECRET}",
        f"# rootpw {SECRET}",
        f"#rootpw --plaintext {SECRET}",
        f"user --name=a --password={SECRET}",
        f"user --name a --pass {SECRET} --plaintext",
        f"user --name=a --pa={SECRET}",
        f'user --name=a "--password={SECRET} {SECRET}"',
        f"bootloader --location=mbr --password={SECRET}",
        f"bootloader --iscrypted --password=grub.pbkdf2.sha512.10000.{SECRET}",
        f"sshpw --username=install {SECRET} --plaintext",
        f"sshpw --username install {SECRET}",
        f"autopart --encrypted --passphrase={SECRET}",
        f"part / --size=1 --encrypted --passphrase {SECRET}",
        f"vnc --host=x --password={SECRET}",
        f"rhsm --organization=1 --activation-key={SECRET}",
        f"network --device=wlan0 --wpakey={SECRET}",
        f"iscsi --ipaddr=1.2.3.4 --user=a --reverse-password={SECRET}",
        f"realm join --one-time-password={SECRET} example.org",
        f"url --url=https://joe:{SECRET}@example.org/os",
        f"url --url=https://example.org/os --proxy=http://joe:{SECRET}@proxy:3128",
        f"key {SECRET}",
    ],
)
def test_commands_keep_their_secrets(line: str) -> None:
    shown = redacted(f"lang en_US.UTF-8\n{line}\nreboot\n")
    assert SECRET not in shown
    assert MARK in shown
    assert shown.startswith("lang en_US.UTF-8\n")
    assert shown.endswith("\nreboot\n")


@pytest.mark.parametrize(
    "script",
    [
        f"echo root:{SECRET} | chpasswd",
        f"echo {SECRET} | passwd --stdin root",
        f"chpasswd -e <<END\nroot:{SECRET}\njoe:{SECRET}\nEND",
        f"usermod -p '{HASH}' root",
        f"subscription-manager register --activationkey {SECRET} --org 1",
        f'subscription-manager register --username joe --password "{SECRET} x"',
        f"curl https://joe:{SECRET}@example.org/",
        f"admin-password = {SECRET}",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
        f"printf {SECRET} | cryptsetup luksFormat /dev/sda2 -",
    ],
)
def test_scripts_keep_their_secrets(script: str) -> None:
    shown = redacted(f"%post\necho before\n{script}\necho after\n%end\n")
    assert SECRET not in shown
    assert "echo before\n" in shown
    assert "\necho after\n%end\n" in shown


def test_what_is_no_secret_stays_as_it_is_written() -> None:
    text = (
        "# A node; passwords are asked for.\n"
        "rootpw --lock\n"
        "network  --bootproto=dhcp --activate\n"
        "authconfig --enableshadow --passalgo=sha512\n"
        "sshkey --username=root 'ssh-ed25519 AAAA joe@example.org'\n"
        "url --url=https://example.org/os\n"
        "%packages\npasswd\n@core\n%end\n"
        '%post\necho "isn\'t" >/etc/motd  # as it was\n%end\n'
    )
    assert redacted(text) == text


def test_kernel_lines() -> None:
    line = f"inst.ks=http://joe:{SECRET}@example.org/ks.cfg inst.vnc inst.vncpassword={SECRET} quiet"
    assert redacted_words(line) == f"inst.ks=http://{MARK}@example.org/ks.cfg inst.vnc inst.vncpassword={MARK} quiet"
