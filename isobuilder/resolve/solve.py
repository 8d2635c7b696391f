"""Which packages a medium must hold, and why: each role's request resolved from an empty system by libsolv.

The rules are those of the installer's dnf, which a test compares. What packages are called and where they lie is the
pool's knowledge, what a role asks for the selection's; nothing is fetched here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import solv
from pydantic import ValidationError

from isobuilder import __version__
from isobuilder.errors import ResolveError, TrustError
from isobuilder.kept import Kept, key_of
from isobuilder.lock import ActiveStream, Package
from isobuilder.repository.comps import merge_comps, parse_comps
from isobuilder.resolve.modules import Modules, active_streams
from isobuilder.resolve.pool import PackagePool, Source
from isobuilder.resolve.reasons import wants, why_chosen
from isobuilder.resolve.selection import INSTALLER, SCREENS, Ask, RoleRequest, Selection, select

__all__ = ["Resolution", "RoleRequest", "Source", "resolve"]

# dnf looks up names before it enables what the @ of %packages names; what the command `module` names, it enables first.
_TOO_LATE = "; an @ enables its stream too late for names, `module --name --stream` does not"
# dnf's installonlypkgs, as they are where nobody configures them (dnf 4.14, const.py).
_INSTALL_ONLY = (
    "kernel",
    "kernel-PAE",
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
)
# What libdnf tells libsolv (0.69, Goal.cpp), as far as it matters in an empty system.
_FLAGS = (solv.Solver.SOLVER_FLAG_BEST_OBEY_POLICY, solv.Solver.SOLVER_FLAG_YUM_OBSOLETES)
# Counted up when what is solved is kept in another form; the version of isobuilder tells of how it is asked.
_FORMAT = 1


@dataclass(frozen=True)
class Needs:
    """Why a role's packages are there, by NEVRA: `asked` has what each thing that is asked for is ("group core").

    `wants` has what each package requires, recommends or brings along, of those that were chosen with it.
    """

    asked: Mapping[str, frozenset[str]]
    wants: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Resolution:
    """The packages of a medium, sorted by NEVRA, and notes that a user should read.

    `extra` are those that boot code is taken out of, by the name that they were asked for; `modules` the streams that
    are active in any role; `needs` those of each role, by its name, where they were asked for.
    """

    packages: tuple[Package, ...]
    extra: Mapping[str, Package]
    modules: tuple[ActiveStream, ...]
    notes: tuple[str, ...]
    needs: Mapping[str, Needs]


def resolve(
    sources: Sequence[Source],
    roles: Sequence[RoleRequest],
    *,
    arch: str,
    always: Sequence[str],
    may: Sequence[str] = (),
    extra: Sequence[str] = (),
    platform: str | None = None,
    kept: Kept | None = None,
    with_needs: bool = False,
) -> Resolution:
    """The packages that `roles` need from `sources`, each role resolved alone from an empty system of `arch`.

    `always` are the names that the installer adds to every role, `may` those that a person can bring in there: each
    role is resolved without the latter and with them, and the result has both. `extra` are packages that boot code is
    taken out of: they are in the result without what they require, and without roles unless a role needs them too.
    Where two roles need different versions of a package, or streams of a module, both are in the result. `platform` is
    what modules require of the release ("el8"); None takes what the release's own package provides. What is read of
    repositories, and what is solved, is kept in `kept`.

    Raises ResolveError with every unknown name of every role and its line, or with libsolv's account of what does not
    fit together. Raises TrustError where the metadata cannot be relied on.
    """
    # So dnf loads them, and of equals libsolv takes the first.
    sources = sorted(sources, key=lambda source: source.priority)
    paths = {wanted.text for role in roles for wanted in role.request.packages if wanted.text.startswith("/")}
    pool = PackagePool(sources, arch=arch, paths=paths, kept=kept)
    published = [source.read("group") for source in sources if "group" in source.files]
    comps = parse_comps(merge_comps(published))
    installer = dict.fromkeys(always, INSTALLER)
    person = installer | dict.fromkeys([name for name in may if name not in installer], SCREENS)
    ways = (installer, person) if may else (installer,)
    modules = Modules(sources, pool, platform)
    chosen_modules = [(role, modules.choose(role.request, role.path)) for role in roles]
    selections = [select(pool, comps, role, own, added) for role, own in chosen_modules for added in ways]
    pool.hide(modules.hidden_by_defaults())
    extras = {name: pool.best(name) for name in extra}
    _refuse(
        "packages or groups are asked for that no repository has",
        [
            *(mistake for selection in selections for mistake in selection.mistakes),
            *(f"boot code: no package is called {name!r}" for name, found in extras.items() if found is None),
        ],
        hint="Correct the names, or add the repository that has them.",
    )
    chosen: dict[int, dict[str, str]] = {found.id: {} for found in extras.values() if found}
    problems: list[str] = []
    needs: dict[str, Needs] = {}
    for selection in selections:
        solvables = _solved(pool, selection, problems, kept)
        if with_needs:
            _add_needs(needs, pool, selection, solvables)
        for solvable, reason in solvables:
            chosen.setdefault(solvable.id, {}).setdefault(selection.role.role, reason)
    _refuse(
        "what the kickstarts ask for does not fit together",
        problems,
        hint="Leave out what conflicts, with -NAME in %packages, or add the repository that has what is missing.",
    )
    packages = {number: _package(pool, number, reasons) for number, reasons in chosen.items()}
    notes = dict.fromkeys([*modules.notes(), *(note for selection in selections for note in selection.notes)])
    return Resolution(
        tuple(sorted(packages.values(), key=lambda package: (package.nevra, package.repository))),
        {name: packages[found.id] for name, found in extras.items() if found},
        active_streams([(role.role, own) for role, own in chosen_modules]),
        tuple(notes),
        needs,
    )


def _refuse(message: str, mistakes: Sequence[str], *, hint: str) -> None:
    if mistakes:
        raise ResolveError(message, details=dict.fromkeys(mistakes), hint=hint)


def _solved(pool: PackagePool, selection: Selection, problems: list[str], kept: Kept | None) -> list[tuple[Any, str]]:
    """What the role needs, each with the reason; or nothing, and the reasons why not added to `problems`.

    What was solved before, with all that it depends on, is taken from `kept`: a change of one role is solved alone.
    """
    pool.hide(selection.hidden)
    disabled = pool.leave_out(selection.left_out)
    asks = [[ask.word, ask.beside, ask.reason, sorted(each.id for each in ask.candidates)] for ask in selection.asks]
    key = key_of("solved", _FORMAT, __version__, pool.content, disabled, asks, selection.role.request.weak)
    store = kept if pool.content else None
    if store and (known := store.facts(key)):
        return [(pool.solv.id2solvable(number), reason) for number, reason in known["chosen"]]
    before = len(problems)
    solved = _solve(pool, selection, problems)
    if store and len(problems) == before:
        store.keep_facts(key, {"chosen": [[each.id, reason] for each, reason in solved]})
    return solved


def _solve(pool: PackagePool, selection: Selection, problems: list[str]) -> list[tuple[Any, str]]:
    solver = pool.solv.Solver()
    for flag in _FLAGS:
        solver.set_flag(flag, 1)
    solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, int(not selection.role.request.weak))
    found = solver.solve([*(_job(pool, ask) for ask in selection.asks), *_several_versions(pool)])
    problems.extend(line for problem in found for line in _account(problem, selection))
    if found:
        return []
    asked = {candidate.id: ask.reason for ask in reversed(selection.asks) for candidate in ask.candidates}
    chosen = solver.transaction().newsolvables()
    why = why_chosen(pool, chosen, asked)
    return [(solvable, why[solvable.id]) for solvable in chosen]


def _add_needs(
    needs: dict[str, Needs], pool: PackagePool, selection: Selection, solved: Sequence[tuple[Any, str]]
) -> None:
    """Add to what is known of the selection's role what one way of installing it chose."""
    names = {solvable.id: _nevra(solvable) for solvable, _ in solved}
    role = selection.role.role
    before = needs.get(role, Needs({}, {}))
    asked = dict(before.asked)
    for ask in selection.asks:
        there = frozenset(names[candidate.id] for candidate in ask.candidates if candidate.id in names)
        asked[ask.reason] = asked.get(ask.reason, frozenset()) | there
    merged = dict(before.wants)
    for number, others in wants(pool, [solvable for solvable, _ in solved]).items():
        merged[names[number]] = merged.get(names[number], frozenset()).union(names[other] for other in others)
    needs[role] = Needs(asked, merged)


def _job(pool: PackagePool, ask: Ask) -> Any:
    """Install one of the candidates, and only the best version of it: a newer one that does not fit is a problem."""
    best = solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_FORCEBEST
    if ask.beside:
        condition = pool.solv.Dep(ask.word).Rel(solv.REL_COND, pool.solv.Dep(ask.beside))
        return pool.solv.Job(best | solv.Job.SOLVER_SOLVABLE_PROVIDES, condition.id)
    one_of = pool.solv.towhatprovides([candidate.id for candidate in ask.candidates])
    return pool.solv.Job(
        best | solv.Job.SOLVER_SOLVABLE_ONE_OF | solv.Job.SOLVER_SETARCH | solv.Job.SOLVER_SETEVR, one_of
    )


def _several_versions(pool: PackagePool) -> Iterator[Any]:
    """Kernels and their modules may be there in several versions side by side."""
    how = solv.Job.SOLVER_MULTIVERSION | solv.Job.SOLVER_SOLVABLE_PROVIDES
    for name in _INSTALL_ONLY:
        yield pool.solv.Job(how, pool.solv.Dep(name).id)


def _account(problem: Any, selection: Selection) -> Iterator[str]:
    """libsolv's account of a problem, a line for each fact in it, and then the places that asked for what is in it."""
    yield f"role {selection.role.role}: {problem}"
    for info in (rule.info() for rule in problem.findallproblemrules()):
        shut = info.solvable.id if info.type == solv.Solver.SOLVER_RULE_PKG_NOT_INSTALLABLE else 0
        if shut in selection.hidden:
            yield f"  {info.solvable} is hidden by module streams{_TOO_LATE}"
        elif excluded := selection.left_out.get(shut):
            yield f"  {info.solvable} is left out by -{excluded.text} at {selection.role.where(excluded.line)}"
        elif (text := info.problemstr()) != str(problem):
            yield f"  {text}"
    for number in _jobs_in(problem):
        ask = selection.asks[number]
        yield f"  {ask.word}: {ask.reason}" + ("" if ask.where in ask.reason else f", at {ask.where}")


def _jobs_in(problem: Any) -> list[int]:
    """The jobs that libsolv would have us drop, by number."""
    elements = (element for solution in problem.solutions() for element in solution.elements())
    return sorted({element.jobidx for element in elements if element.type == solv.Solver.SOLVER_SOLUTION_JOB})


def _nevra(solvable: Any) -> str:
    evr = solvable.evr if ":" in solvable.evr else f"0:{solvable.evr}"
    return f"{solvable.name}-{evr}.{solvable.arch}"


def _package(pool: PackagePool, number: int, reasons: Mapping[str, str]) -> Package:
    solvable = pool.solv.id2solvable(number)
    nevra = _nevra(solvable)
    try:
        return Package(
            nevra=nevra,
            repository=solvable.repo.name,
            file=pool.file(solvable),
            roles=tuple(reasons),
            reasons=tuple(reasons.values()),
        )
    except ValidationError as error:
        raise TrustError(f"repository {solvable.repo.name}: it has a package that cannot be: {nevra!r}") from error
