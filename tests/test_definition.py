"""The definition and release files: what is taken, and every mistake at once."""

import datetime as dt
import re
from pathlib import Path

import pytest

import isobuilder.releases
from isobuilder.blueprint import Blueprint
from isobuilder.definition import Definition, load_definition, size_bytes
from isobuilder.errors import DefinitionError
from isobuilder.releases import end_of_life_warning, load_release

HASH = "$6$saltsalt$" + "a" * 86
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvb2Jhcg0123456789abcdefghijklmn admin@site"


def load(folder: Path, text: str) -> Definition:
    path = folder / "media.toml"
    path.write_text(text)
    return load_definition(path)


def mistakes(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(DefinitionError) as caught:
        load(folder, text)
    assert caught.value.exit_code == 3
    return caught.value.details


def test_three_lines_are_enough(tmp_path: Path) -> None:
    definition = load(tmp_path, 'version = 1\nname = "site"\nrelease = "9-stream"\n')
    assert (definition.name, definition.arch, definition.menu.default) == ("site", "x86_64", "local")
    assert definition.folder == tmp_path
    assert load_release(definition).title == "CentOS Stream 9"


def test_everything_that_it_can_say(tmp_path: Path) -> None:
    definition = load(
        tmp_path,
        f"""
        version = 1
        name = "campus-cloud"
        release = "9-stream"
        arch = "x86_64"
        volume-id = "CAMPUS_CLOUD-9"
        [install]
        language = "it_IT.UTF-8"
        keyboard = "it"
        timezone = "America/Argentina/Ushuaia"
        root-password = "{HASH}"
        ssh-keys = ["{KEY}"]
        console = "ttyS1,57600"
        [menu]
        title = "It's 100% ^our^ cloud \\\\ $HOME"
        default = "rack-node"
        timeout = 0
        [[repository]]
        id = "site"
        baseurl = "https://repo.example.org/el9/$basearch"
        gpgkey = "https://repo.example.org/RPM-GPG-KEY-site"
        fingerprint = ["0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567"]
        priority = 10
        [role.rack-node]
        kickstart = "roles/rack-node.ks.j2"
        menu = false
        """,
    )
    assert definition.repository[0].fingerprint == ("0123456789ABCDEF0123456789ABCDEF01234567",)
    assert definition.role["rack-node"].menu is False
    merged = Blueprint(definition, load_release(definition), None).repositories
    assert [repository.id for repository in merged] == ["baseos", "appstream", "site"]
    assert merged[2].baseurl == "https://repo.example.org/el9/x86_64/"


REPOSITORY = """
version = 1
name = "s"
release = "9-stream"
[[repository]]
id = "x"
"""
SIGNED = f'gpgkey = "https://x.example.org/KEY-$basearch"\nfingerprint = ["{"A" * 40}"]\n'
ADDRESSES = {
    "baseurl": ("https://x.example.org/$basearch", "https://x.example.org/x86_64/"),
    "mirrorlist": ("https://x.example.org/?arch=${basearch}&repo=os", "https://x.example.org/?arch=x86_64&repo=os"),
    "metalink": ("https://x.example.org/?repo=x&arch=$basearch", "https://x.example.org/?repo=x&arch=x86_64"),
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_a_repository_is_named_by_one_address_of_three_kinds(tmp_path: Path, kind: str) -> None:
    given, filled = ADDRESSES[kind]
    definition = load(tmp_path, f'{REPOSITORY}{SIGNED}{kind} = "{given}"\n')
    repository = Blueprint(definition, load_release(definition), None).repositories[-1]
    found = {name: getattr(repository, name) for name in ADDRESSES}
    assert found == dict.fromkeys(ADDRESSES) | {kind: filled}
    assert repository.gpgkey == ("https://x.example.org/KEY-x86_64",)
    assert repository.listing == (None if kind == "baseurl" else filled)
    for other, (address, _) in ADDRESSES.items():
        if other != kind:
            two = mistakes(tmp_path, f'{REPOSITORY}{SIGNED}{kind} = "{given}"\n{other} = "{address}"\n')
            assert two == ("repository[1]: exactly one of baseurl, mirrorlist and metalink is required",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('gpgkey = ["https://x.example.org/a", "ftp://x"]', "repository[1].gpgkey[2]: 'ftp://x' is not an http"),
        ('gpgkey = "ftp://x"', "repository[1].gpgkey: 'ftp://x' is not an http"),
        ("gpgkey = 7", "repository[1].gpgkey: input should be a valid array, not a number"),
        ('sha1 = "yes"', "repository[1].sha1: input should be a valid boolean, not a string"),
        ('trust = "unsigned"\nsha1 = true', "repository[1]: sha1 = true is about signatures"),
        ('metalink = "https://x/?repo=$stream"', "repository[1].metalink: $stream is not filled in here"),
        ('gpgkey = ["https://x/${releasever}"]', "repository[1].gpgkey[1]: $releasever is not filled in here"),
    ],
)
def test_mistakes_in_a_repository_are_told_once(tmp_path: Path, text: str, expected: str) -> None:
    (mistake,) = mistakes(tmp_path, f'{REPOSITORY}baseurl = "https://x.example.org/"\n{text}\n')
    assert mistake.startswith(expected)


def test_several_keys_and_sha1(tmp_path: Path) -> None:
    text = f'{REPOSITORY}baseurl = "https://x.example.org/"\nsha1 = true\nfingerprint = ["{"A" * 40}", "{"B" * 40}"]\n'
    definition = load(tmp_path, text + 'gpgkey = ["https://x.example.org/a", "https://x.example.org/b"]\n')
    assert definition.repository[0].gpgkey == ("https://x.example.org/a", "https://x.example.org/b")
    assert definition.repository[0].sha1


def test_every_mistake_is_reported_at_once_with_its_key(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        version = 2
        nme = "site"
        release = 9
        volume-id = "HAS SPACE"
        [install]
        languag = "en_US.UTF-8"
        [[repository]]
        id = "one"
        baseurl = "https://one.example.org/"
        trust = "unsigned"
        [[repository]]
        id = "two"
        baseurl = "ftp://two.example.org/"
        [role.rack]
        kickstart = "../rack.ks"
        """,
    )
    assert [line.partition(":")[0] for line in found] == [
        "version",
        "name",
        "release",
        "volume-id",
        "install.languag",
        "repository[2].baseurl",
        "role.rack.kickstart",
        "nme",
    ]
    assert "did you mean 'language'?" in found[4]
    assert "did you mean 'name'?" in found[7]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('[install]\nlanguage = "en_US\\nreboot"', "install.language"),
        ('[install]\nkeyboard = "us --x"', "install.keyboard"),
        ('[install]\ntimezone = "Europe/Rome\\n%post"', "install.timezone"),
        ('[install]\nssh-keys = ["ssh-ed25519 AAAA\\nrootpw x"]', "install.ssh-keys[1]"),
        ('[install]\nconsole = "ttyS0 init=/bin/sh"', "install.console"),
        ("[install]\nssh-keys = ['ssh-ed25519 " + "A" * 40 + ' joe" --username="eve\']', "install.ssh-keys[1]"),
        ('[menu]\ntitle = "two\\nlines"', "menu.title"),
        ('[menu]\ntitle = "trailing "', "menu.title"),
        ('[menu]\ntimeout = "60"', "menu.timeout"),
        ("[menu]\ntimeout = true", "menu.timeout"),
        ('[role."a/b"]\nkickstart = "x.ks"', "role.a/b"),
        ('[role.x]\nkickstart = "/etc/passwd"', "role.x.kickstart"),
        ('[role.x]\nkickstart = "a/../../b"', "role.x.kickstart"),
    ],
)
def test_what_would_reach_a_template_or_a_path_is_checked(tmp_path: Path, line: str, key: str) -> None:
    found = mistakes(tmp_path, f'version = 1\nname = "site"\nrelease = "9-stream"\n{line}\n')
    assert len(found) == 1
    assert found[0].startswith(key)


def test_a_plain_root_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = 'version = 1\nname = "s"\nrelease = "9-stream"\n[install]\nroot-password = "hunter2"\n'
    (mistake,) = mistakes(tmp_path, text)
    assert "openssl passwd -6" in mistake
    assert "hunter2" not in mistake


@pytest.mark.parametrize("algorithm", ["1", "2b", "md5"])
def test_weak_or_foreign_password_hashes_are_refused(tmp_path: Path, algorithm: str) -> None:
    text = f'version = 1\nname = "s"\nrelease = "9-stream"\n[install]\nroot-password = "${algorithm}$salt${"a" * 30}"\n'
    assert mistakes(tmp_path, text)


def test_a_signed_repository_needs_its_pin(tmp_path: Path) -> None:
    (mistake,) = mistakes(
        tmp_path,
        'version = 1\nname = "s"\nrelease = "9-stream"\n[[repository]]\nid = "x"\nbaseurl = "https://x.example.org/"\n',
    )
    assert mistake.startswith("repository[1]: gpgkey and fingerprint are required")


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        ('"aks"', "install.disk: 'aks' is neither \"ask\" nor a table"),
        ("{}", "install.disk: says nothing"),
        ('{ modell = "x" }', "install.disk.modell: unknown key; did you mean 'model'?"),
        ('{ min-size = "100" }', "install.disk.min-size: '100' is not a size such as 100GB"),
        ('{ min-size = "2TB", max-size = "1.5TiB" }', "install.disk: min-size 2TB is more than max-size 1.5TiB"),
        ("""{ model = "a'; reboot" }""", "install.disk.model: "),
        ('"ask"\nreinstall = true', "install: reinstall: true without a disk"),
    ],
)
def test_a_disk_that_says_too_little_or_too_much_is_refused(tmp_path: Path, disk: str, words: str) -> None:
    found = mistakes(tmp_path, f'version = 1\nname = "s"\nrelease = "9-stream"\n[install]\ndisk = {disk}\n')
    assert any(mistake.startswith(words) for mistake in found), found


@pytest.mark.parametrize("address", ["https://x.example.org/os?token=1", "https://x.example.org/os#top"])
def test_an_address_that_no_path_can_be_put_behind_is_refused(tmp_path: Path, address: str) -> None:
    repository = f'[[repository]]\nid = "x"\nbaseurl = "{address}"\ntrust = "unsigned"\n'
    text = f'version = 1\nname = "s"\nrelease = "9-stream"\n{repository}'
    assert any(found.startswith("repository[1].baseurl: ") for found in mistakes(tmp_path, text))


def test_sizes_count_in_thousands_or_in_1024s() -> None:
    assert size_bytes("100GB") == 100 * 10**9
    assert size_bytes("1.5TiB") == 3 * 2**39
    assert size_bytes("1MB") == 10**6


def test_names_that_the_menu_has_and_ids_twice_are_refused(tmp_path: Path) -> None:
    repository = '[[repository]]\nid = "x"\nbaseurl = "https://x.example.org/"\ntrust = "unsigned"\n'
    text = f'version = 1\nname = "s"\nrelease = "9-stream"\n{repository * 2}[role.local]\nkickstart = "x.ks"\n'
    keys = [field.alias or "" for field in Definition.model_fields.values()]
    assert mistakes(tmp_path, f"surplus = 1\n{text}") == (
        "repository: two have the id 'x'",
        "role.local: the menu has an entry 'local' already",
        f"surplus: unknown key; known: {', '.join(sorted(keys))}",
    )


@pytest.mark.parametrize("value", ["20242024", '["hunter2"]', "{ plain = 1 }", "true", "2026-01-01"])
def test_a_password_of_the_wrong_type_is_not_repeated(tmp_path: Path, value: str) -> None:
    text = f'version = 1\nname = "s"\nrelease = "9-stream"\n[install]\nroot-password = {value}\n'
    (mistake,) = mistakes(tmp_path, text)
    assert re.fullmatch(r"install.root-password: input should be a valid string, not an? [a-z ]+", mistake)


@pytest.mark.parametrize("address", ["https://me:secret@x.example.org/", "https://me@x.example.org/", "https:///x"])
def test_addresses_carry_no_user_names(tmp_path: Path, address: str) -> None:
    text = 'version = 1\nname = "s"\nrelease = "9-stream"\n[[repository]]\nid = "x"\ntrust = "unsigned"\n'
    (mistake,) = mistakes(tmp_path, f'{text}baseurl = "{address}"\n')
    assert mistake.startswith("repository[1].baseurl: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"version = ", "not valid TOML"), (b"\xff\xfe", "cannot be read"), (None, "no such definition")],
)
def test_what_is_no_definition_at_all(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "media.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DefinitionError, match=words):
        load_definition(path)


def test_unknown_release_and_missing_architecture(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="did you mean '9-stream'"):
        load_release(load(tmp_path, 'version = 1\nname = "s"\nrelease = "9-steam"\n'))
    with pytest.raises(DefinitionError, match="CentOS 6 has no aarch64"):
        load_release(load(tmp_path, 'version = 1\nname = "s"\nrelease = "6"\narch = "aarch64"\n'))
    with pytest.raises(DefinitionError, match="no such release file"):
        load_release(load(tmp_path, 'version = 1\nname = "s"\nrelease = "mine.toml"\n'))


def test_a_release_file_of_ones_own_reports_all_its_mistakes(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('id = "x"\ntitel = "Mine"\n[arch.x86_64]\ntree = "https://x.example.org/"\n')
    with pytest.raises(DefinitionError) as caught:
        load_release(load(tmp_path, 'version = 1\nname = "s"\nrelease = "mine.toml"\n'))
    assert any("titel: unknown key; did you mean 'title'?" in line for line in caught.value.details)
    assert any(line.startswith("arch.x86_64.boot: required") for line in caught.value.details)


def test_a_release_whose_menu_could_not_boot_is_refused(tmp_path: Path) -> None:
    shipped = Path(isobuilder.releases.__file__).with_name("9-stream.toml").read_text()
    for old, new, words in (
        ('image = "isolinux/isolinux.bin"', 'image = "isolinux/other.bin"', "not one of files"),
        (
            'local-loaders = ["/EFI/centos/shimx64.efi", "/EFI/centos/grubx64.efi"]',
            "local-loaders = []",
            "local-loaders",
        ),
        ('"/EFI/centos/shimx64.efi"', '"/EFI/../../shimx64.efi"', "an absolute path"),
        ('stage2 = "images/install.img"', 'stage2 = "images/../install.img"', "a path inside the tree"),
    ):
        assert old in shipped
        (tmp_path / "mine.toml").write_text(shipped.replace(old, new))
        with pytest.raises(DefinitionError) as caught:
            load_release(load(tmp_path, 'version = 1\nname = "s"\nrelease = "mine.toml"\n'))
        assert words in caught.value.details[0]


def test_a_release_past_its_end_is_warned_about() -> None:
    release = load_release(Definition.model_validate({"version": 1, "name": "s", "release": "9-stream"}))
    assert end_of_life_warning(release, dt.date(2027, 5, 31)) is None
    assert end_of_life_warning(release, dt.date(2027, 6, 1)) == "CentOS Stream 9 has had no updates since 2027-05-31"
