"""Products as data: a folder of kickstarts and one TOML file each, a shipped one or the user's own.

Nothing here knows one product from another: what differs between its versions is in the file, for its templates.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from isobuilder.definition import Arch, Definition, Group, Identifier, Repository, RoleName, Title, unlike_ids
from isobuilder.errors import DefinitionError
from isobuilder.releases import Release
from isobuilder.resources import data_folder
from isobuilder.schema import Many, Matching, Table, did_you_mean, load_toml

PRODUCT_FILE = "product.toml"
# A product that extends one that extends one; more is a loop.
EXTENDS_DEPTH = 4

Word = Annotated[str, Matching(r"[!-~](?:[ -~]{0,198}[!-~])?", "a line of printable ASCII characters")]


class ProductRole(Table):
    """A role that the product brings: `kickstart` is a template in its folder."""

    id: RoleName
    kickstart: Annotated[
        str, Matching(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", "the name of a template in the product's folder")
    ]
    title: Title
    group: Group = "other"
    menu: bool = True


class Edition(Table):
    """The product on one release: which version of it, for which architectures, and what its templates need to know.

    `facts` are free: words, lists of words, numbers and switches that the product's own templates read.
    """

    version: Annotated[str, Matching(r"[0-9][A-Za-z0-9.]*", "a version such as 4.2")]
    arch: Annotated[Many[Arch], Field(min_length=1)] = ("x86_64",)
    selinux: Literal["enforcing", "permissive", "disabled"] = "enforcing"
    facts: dict[str, Word | bool | int | Many[Word]] = Field(default_factory=dict)
    repository: Annotated[Many[Repository], AfterValidator(unlike_ids)] = ()


class Product(Table):
    """A product: its roles in the order of the menu, and an edition for each release that it serves, by release id.

    With `extends`, roles, templates and editions of another product come first, and this one's join or replace them.
    """

    id: Identifier
    title: Title
    extends: (
        Annotated[str, Matching(r"[A-Za-z0-9._/-]{1,200}", "a product's name, or the path of its folder")] | None
    ) = None
    role: Annotated[Many[ProductRole], AfterValidator(unlike_ids)] = ()
    release: dict[str, Edition] = Field(default_factory=dict)

    _folders: tuple[Path, ...] = PrivateAttr(default=())

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its templates are, its own folder first."""
        return self._folders


def load_product(definition: Definition, release: Release) -> Product | None:
    """The product that the definition names, if any: a shipped one by its name, or a folder by its path (with a slash).

    Raises DefinitionError for an unknown name, a file with mistakes, or a release that the product does not serve.
    """
    if definition.product is None:
        return None
    product = _load(definition.product, definition.folder, "product", EXTENDS_DEPTH, definition)
    if release.id not in product.release:
        served = ", ".join(f"{name} (version {edition.version})" for name, edition in product.release.items())
        raise DefinitionError(
            f"product: {product.title} has nothing for {release.title}; the releases that it serves: {served}",
            hint="Without product, a medium has the role minimal and roles of your own on every release.",
        )
    if definition.arch not in (known := product.release[release.id].arch):
        raise DefinitionError(f"arch: {product.title} for {release.title} is there for {', '.join(known)} only")
    return product


def _load(name: str, beside: Path, key: str, depth: int, definition: Definition) -> Product:
    if depth == 0:
        raise DefinitionError(f"{key}: products extend each other {EXTENDS_DEPTH} deep and more")
    folder = definition.named(beside, name) if "/" in name else _shipped(name, key)
    product = load_toml(folder / PRODUCT_FILE, Product, "product file")
    base = None
    if product.extends:
        base = _load(product.extends, folder, f"{folder / PRODUCT_FILE}: extends", depth - 1, definition)
    roles = {role.id: role for role in (*(base.role if base else ()), *product.role)}
    editions = {**(base.release if base else {}), **product.release}
    merged = product.model_copy(update={"role": tuple(roles.values()), "release": editions})
    merged._folders = (folder, *(base.folders if base else ()))  # noqa: SLF001 - a value of the file's place
    return merged


def _shipped(name: str, key: str) -> Path:
    ours = data_folder("kickstarts")
    known = {path.parent.name for path in ours.glob(f"*/{PRODUCT_FILE}")}
    if name not in known:
        raise DefinitionError(
            f"{key}: {name!r} is not a product{did_you_mean(name, known)}",
            hint=f"A product of your own is named by the path of its folder, with a slash: ./{name}",
        )
    return ours / name
