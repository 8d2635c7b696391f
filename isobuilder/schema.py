"""The way from a TOML file of ours to a frozen value, with every mistake reported at once.

Definitions, release files and the practice tests use it. It knows TOML and pydantic, and nothing of ISOs.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from isobuilder.errors import DefinitionError

# More names than this are no help in a message.
LISTED_AT_MOST = 20

T = TypeVar("T")
M = TypeVar("M", bound="Table")

# TOML has lists only; our values are frozen, so they hold tuples.
Many = Annotated[tuple[T, ...], Strict(strict=False)]

# What pydantic puts into the place of a mistake and no key of the file is: free names, and the tags below.
_NO_KEYS = frozenset({"[key]", "[one]", "[many]"})


class _OneOrMany:
    """Lets a value stand alone where an array of them may stand."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        one = handler.generate_schema(get_args(source)[0])
        # Tagged, so that a mistake is reported once, for what was meant.
        either = core_schema.tagged_union_schema({"[one]": one, "[many]": handler(source)}, self._tag)
        return core_schema.no_info_after_validator_function(self._tuple, either)

    @staticmethod
    def _tag(value: Any) -> str:
        return "[one]" if isinstance(value, str) else "[many]"

    @staticmethod
    def _tuple(value: Any) -> tuple[Any, ...]:
        return value if isinstance(value, tuple) else (value,)


# Of strings: `key = "a"` is the same as `key = ["a"]`.
OneOrMany = Annotated[tuple[T, ...], Strict(strict=False), _OneOrMany()]


class Table(BaseModel):
    """A table of a TOML file: kebab-case keys, no unknown ones, no conversions between types."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.replace("_", "-"),
        extra="forbid",
        frozen=True,
        strict=True,
        validate_by_name=True,
    )


@dataclass(frozen=True)
class Matching:
    """Narrows a string type to what `pattern` matches from end to end; `wanted` says in words what that is."""

    pattern: str
    wanted: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"pattern": f"^(?:{self.pattern})$"}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value, re.ASCII):
            raise ValueError(f"{value!r} is not {self.wanted}")
        return value


def load_toml(path: Path, model: type[M], what: str) -> M:
    """Read `path` as a `model`. Raises DefinitionError with all mistakes, each with its key.

    `what` names the kind of file in messages: "definition", "release file".
    """
    try:
        if path.exists() and not path.is_file():
            raise DefinitionError(f"{path}: the {what} is not a plain file")
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DefinitionError(f"{path}: no such {what}") from error
    except RecursionError as error:
        raise DefinitionError(f"{path}: not valid TOML: nested too deep") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path}: the {what} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{path}: not valid TOML: {error}") from error
    except ValueError as error:
        raise DefinitionError(f"{path!r} cannot be the path of a {what}: {error}") from error
    try:
        return model.model_validate(table, by_alias=True, by_name=False)
    except ValidationError as error:
        mistakes = [_mistake(model, finding) for finding in _told(error)]
        raise DefinitionError(
            f"{path}: {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''} in the {what}",
            details=mistakes,
            hint="Nothing was read further; mend all of these and run it again.",
        ) from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message: what is near, or all that there is when that is little."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= LISTED_AT_MOST else ""


def _told(error: ValidationError) -> list[Mapping[str, Any]]:
    """What was found, but for arrays that are too short because what is in them was refused."""
    findings = [finding for finding in error.errors() if finding["type"] != "too_short" or not finding["input"]]
    return list[Mapping[str, Any]](findings)


def _mistake(model: type[BaseModel], finding: Mapping[str, Any]) -> str:
    location: Sequence[str | int] = finding["loc"]
    key = _dotted(location)
    match finding["type"]:
        case "missing":
            return f"{key}: required, and not there"
        case "extra_forbidden":
            return f"{key}: unknown key{did_you_mean(str(location[-1]), _keys_at(model, location[:-1]))}"
        case "value_error":
            return f"{key}: {finding['ctx']['error']}" if key else str(finding["ctx"]["error"])
        case "too_short":
            return f"{key}: needs at least {finding['ctx']['min_length']}"
        case kind:
            # A value of the wrong type is not repeated: it may be somebody's password.
            given = _kind(finding["input"]) if kind.endswith("_type") else repr(finding["input"])
            return f"{key}: {finding['msg'][:1].lower()}{finding['msg'][1:].replace('tuple', 'array')}, not {given}"


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or time")


def _dotted(location: Sequence[str | int]) -> str:
    key = ""
    for part in location:
        if part not in _NO_KEYS:
            key += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    """The keys that the table at `location` may have."""
    table = model
    for part in location:
        # A part that is no field is an index or a free name (role.NAME), and leads to the same table.
        field = next((f for f in table.model_fields.values() if f.alias == part), None)
        table = (field and _table_in(field.annotation)) or table
    return {str(field.alias) for field in table.model_fields.values()}


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_in, getattr(annotation, "__args__", ()))), None)
