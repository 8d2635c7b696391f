"""The packages: chosen, checked and installed by dnf, out of the repository on the medium and nowhere else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .tools import FailureError, Tools

_SIGNED = "%|RSAHEADER?{signed}:{%|DSAHEADER?{signed}:{unsigned}|}|\n"
_FIFTHS = 5


def wanted(packages: Any) -> tuple[list[str], list[str]]:
    """What a %packages section asks dnf for, and what it excludes, in the words of Anaconda for 9."""
    asked = [f"@^{packages.environment}"] if packages.environment else []
    # Anaconda takes the group core when nobody says --nocore.
    groups = [group.name for group in packages.groupList]
    asked += ["@core"] if "core" not in groups and not packages.nocore else []
    asked += [f"@{name}" for name in groups]
    return [*asked, *packages.packageList], [
        *(f"@{group.name}" for group in packages.excludedGroupList),
        *packages.excludedList,
    ]


def install(
    tools: Tools,
    root: Path,
    medium: Path,
    release: str,
    asked: Sequence[str],
    excluded: Sequence[str],
    *,
    weak: bool = True,
    docs: bool = True,
    strict: bool = True,
) -> int:
    """Install into `root`; gives how many packages. Raises FailureError, before it writes any, for what is not there
    or not signed as it should be; else with dnf's words."""
    # Only stage 2 has these.
    import dnf
    import dnf.callback

    _import_keys(tools, root, medium)
    base = dnf.Base()
    _configure(base.conf, root, release, weak=weak, docs=docs)
    base.repos.add_new_repo("medium", base.conf, baseurl=[f"file://{medium}"])
    failed: list[str] = []
    try:
        base.fill_sack(load_system_repo=False)
        base.read_comps(arch_filter=True)
        base.install_specs(list(asked), exclude=list(excluded), strict=strict)
        base.resolve()
        chosen = sorted(base.transaction.install_set)
        tools.say(f"packages: {len(chosen)} to install")
        check_signatures(tools, root, [Path(package.localPkg()) for package in chosen])
        base.do_transaction(display=_progress(dnf.callback, len(chosen), tools.say, failed))
    except dnf.exceptions.Error as error:
        first, *rest = str(error).strip().splitlines()
        raise FailureError(f"dnf: {first}", "\n".join(rest)) from error
    finally:
        # Or its databases keep the disk busy.
        base.close()
    if failed:
        raise FailureError("packages cannot be installed", "\n".join(failed))
    return len(chosen)


def _import_keys(tools: Tools, root: Path, medium: Path) -> None:
    keys = sorted(medium.glob("RPM-GPG-KEY-*"))
    if not keys:
        raise FailureError("there is no RPM-GPG-KEY-* on the medium")
    tools.run("rpmkeys", "--root", root, "--import", *keys)


def check_signatures(tools: Tools, root: Path, files: Sequence[Path]) -> None:
    """Every package that is signed must be so by a key in `root`'s database, and be as it was then.

    Those that nobody signed are named on the consoles, and taken: a medium has some that isobuilder makes, and Anaconda
    looks at no signature. Raises FailureError.
    """
    # One program for all: dnf would start one for each, which takes long on an emulated processor.
    query = ("rpm", "--nosignature", "--nodigest", "--query", "--package", "--queryformat", _SIGNED)
    lines = tools.run(*query, *files).splitlines()
    unsigned = [file for file, line in zip(files, lines, strict=True) if line == "unsigned"]
    if unsigned:
        tools.say(f"packages: not signed by anybody: {', '.join(file.name for file in unsigned)}")
    signed = [file for file in files if file not in unsigned]
    strictly = ("--define", "_pkgverify_level all", "--root", root, "--checksig")
    done = tools.attempt(["rpmkeys", *strictly, *signed])
    if done.returncode:
        refused = [line for line in (done.stdout + done.stderr).splitlines() if "NOT OK" in line]
        raise FailureError("packages are not as a key on the medium signed them", "\n".join(refused) or done.stderr)


def _configure(conf: Any, root: Path, release: str, *, weak: bool, docs: bool) -> None:
    conf.installroot, conf.cachedir, conf.persistdir = str(root), "/tmp/dnf", f"{root}/var/lib/dnf"
    conf.logdir, conf.reposdir, conf.varsdir, conf.pluginpath = "/tmp", [], [], []
    conf.substitutions["releasever"] = release
    conf.install_weak_deps, conf.best, conf.assumeyes, conf.plugins = weak, True, True, False
    conf.tsflags = [] if docs else ["nodocs"]
    conf.zchunk = False


def _progress(callback: Any, count: int, say: Callable[[str], None], failed: list[str]) -> Any:
    class Progress(callback.TransactionProgress):  # type: ignore[misc]  # dnf has no types
        done = 0

        def progress(self, *told: Any) -> None:
            _, action, _, _, done, _ = told
            if action == callback.PKG_INSTALL and done > self.done:
                self.done = done
                if done * _FIFTHS // count != (done - 1) * _FIFTHS // count:
                    say(f"packages: {done} of {count}")

        def error(self, message: str) -> None:
            failed.append(message)

    return Progress()
