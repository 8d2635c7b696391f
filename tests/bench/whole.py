"""Row 6: a whole build into an empty cache, against the usual chain for the same content."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.mastering import xorriso_step
from tests.bench.measuring import Children, Cost, Figure, in_turns
from tests.bench.serving import served
from tests.bench.world import Bench, isobuilder
from tests.isotree import efi_image

NAME = "whole"
_LIMIT = 0.5


def figures(bench: Bench) -> Iterator[Figure]:
    work = bench.folder(NAME)
    with served(bench.world.mirror) as address:
        definition = bench.world.define(work / "site", address)
        children, others = Children(), Children()
        build = isobuilder("build", definition, "--cache-dir", work / "cache", "--output-dir", work / "out")

        def ours() -> Cost:
            for folder in ("cache", "out"):
                shutil.rmtree(work / folder, ignore_errors=True)
            for lock in definition.parent.glob("*.lock"):
                lock.unlink()
            return children.run(build, log=work / "log")

        def chain() -> Cost:
            return _chain(work, address, others)

        mine, usual = in_turns(bench.size.rounds, ours, chain)
    yield Figure.of(
        "whole build, cold",
        mine,
        usual,
        _LIMIT,
        "of dnf download --resolve, curl, createrepo_c, xorriso, implantisomd5, sha256sum; ours with proof and report",
    )
    yield Figure("whole build, cold: memory", (children.peak / 1e6,), (), 512, "the most that any process had", "MB")


def _chain(work: Path, address: str, children: Children) -> Cost:
    """What an administrator types, for the packages and files that are on our medium."""
    shutil.rmtree(work / "chain", ignore_errors=True)
    tree = work / "chain/tree"
    (tree / "Packages").mkdir(parents=True)
    [lock] = (work / "site").glob("*.lock")
    locked = json.loads(lock.read_text())
    own = {each["id"] for each in locked["repositories"] if each["trust"] == "built-in"}
    names = [each["nevra"] for each in locked["packages"] if each["roles"] and each["repository"] not in own]
    repositories = {each["id"]: each["baseurl"][0] for each in locked["repositories"] if each["id"] not in own}
    cost = children.run(
        [
            *("dnf", "download", "--resolve", "--quiet", "--setopt=reposdir=/nonexistent", "--releasever=9"),
            *(f"--setopt=cachedir={work / 'chain/cache'}", f"--installroot={work / 'chain/root'}"),
            "--setopt=max_parallel_downloads=8",
            "--disableplugin=local",
            *(f"--repofrompath={name},{url}" for name, url in repositories.items()),
            *("--destdir", tree / "Packages", *names),
        ],
        log=work / "chain.log",
    )
    boot = [each["file"]["url"] for each in locked["boot"] if "url" in each["file"]]
    fetch = ["curl", "--silent", "--fail", "--parallel", "--create-dirs"]
    for url in boot:
        fetch += ["--output", str(tree / re.sub(r".*/os/", "", url)), url]
    cost += children.run(fetch)
    cost += children.run([Path(sys.executable).with_name("createrepo_c"), "--quiet", tree])
    # isobuilder makes its own of the loaders; whoever types this has one.
    (tree / "images").mkdir(exist_ok=True)
    (tree / "images/efiboot.img").write_bytes(efi_image())
    return cost + xorriso_step(children, tree, work / "chain/out.iso", "sha256sum")
