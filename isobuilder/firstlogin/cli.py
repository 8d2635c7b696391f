"""The command line of cloud-setup: arguments to the engine, failures to exit codes."""

import argparse
import os
import signal
import sys
from typing import List, Optional

from .dialogue import LeftError, Terminal, printable
from .effects import Effects
from .engine import Engine
from .exits import COME_BACK, EXIT_LEFT, EXIT_STEP, EXIT_USAGE, SetupError
from .log import Log
from .parts import Parts
from .runner import NOT_CONFIGURED

PARTS = Parts()

_EPILOG = (
    "Exit codes: 0 done, 2 usage, 3 answers that cannot be, 4 the machine will not do, 5 a step failed (run it again "
    "to go on, or roll back), 130 left or interrupted."
)


def main(argv: Optional[List[str]] = None, effects: Optional[Effects] = None) -> int:
    """Run the wizard; its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.words and arguments.command not in [action.name for action in PARTS.actions()]:
        parser.error(f"{arguments.command} takes no words after it")
    effects = effects or Effects()
    terminal = Terminal(environ=effects.environ)
    signal.signal(signal.SIGTERM, _interrupt)
    # A session that ends must not stop the steps that ended it. What they start would inherit that a signal is ignored,
    # and does not inherit what is done instead.
    signal.signal(signal.SIGHUP, _go_on)
    try:
        return _run(arguments, Engine(effects, terminal), effects)
    except SetupError as refusal:
        if effects.is_root:
            Log(effects).say("\n".join(refusal.lines))
        for line in refusal.lines:
            _complain(line)
        if arguments.command == "boot":
            effects.announce(NOT_CONFIGURED + printable(" ".join(refusal.lines)))
        return refusal.code
    except LeftError:
        terminal.line("")
        terminal.say(f"You have left. Nothing was changed since. {COME_BACK}")
        return EXIT_LEFT
    except KeyboardInterrupt:
        terminal.line("")
        terminal.say(f"Interrupted. {COME_BACK}")
        return EXIT_LEFT
    except OSError as error:
        _complain("{}: {}".format(error.filename or "the system", error.strerror or error))
        return EXIT_STEP


def _run(arguments: argparse.Namespace, wizard: Engine, effects: Effects) -> int:
    if not effects.is_root:
        raise SetupError(EXIT_USAGE, "Only root can set up this machine.")
    plain = {
        "confirm": wizard.confirm,
        "rollback": wizard.roll_back,
        "guard": wizard.guard,
        "boot": wizard.at_boot,
        "status": wizard.upkeep.status,
        "teardown": wizard.upkeep.tear_down,
    }
    if arguments.command in plain:
        return plain[arguments.command]()
    if arguments.command == "check":
        return wizard.upkeep.check(full=arguments.full)
    action = next((one for one in PARTS.actions() if one.name == arguments.command), None)
    if action:
        return wizard.upkeep.act(action, arguments.words)
    path, save = (one and os.path.abspath(one) for one in (arguments.answers, arguments.save_answers))
    if save and effects.exists(save):
        raise SetupError(EXIT_USAGE, f"{save} is there already; name another file.")
    return wizard.configure(path, save, dry_run=arguments.dry_run)


def _parser() -> argparse.ArgumentParser:
    actions = [action.name for action in PARTS.actions()]
    helps = [f"{action.name}: {action.help}" for action in PARTS.actions()]
    parser = argparse.ArgumentParser(
        prog="cloud-setup", description="Sets up this machine: its name, network and time.", epilog=_EPILOG
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("check", "status", "confirm", "rollback", "teardown", "boot", "guard", *actions),
        metavar="COMMAND",
        help="check: see whether all works; status: what this machine is; confirm: the network that was changed from "
        "far away works; rollback: undo what the last run did; teardown: undo all that was ever done; {}; without a "
        "command, ask and set up (boot and guard are for the system itself)".format("; ".join(helps)),
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="what such a command is about")
    parser.add_argument("--full", action="store_true", help="with check: also try it out, and clean up")
    parser.add_argument("--answers", metavar="FILE", help="take the answers from FILE and ask only for what it lacks")
    parser.add_argument("--save-answers", metavar="FILE", help="write the answers, without secrets, to FILE")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
    return parser


def _complain(text: str) -> None:
    sys.stderr.write(f"cloud-setup: {printable(text)}\n")


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _go_on(_signal: int, _frame: object) -> None:
    pass
