"""How the wizard ends: its exit codes, and the one way to go no further."""

EXIT_DONE, EXIT_USAGE, EXIT_ANSWERS, EXIT_PREFLIGHT, EXIT_STEP, EXIT_LEFT = 0, 2, 3, 4, 5, 130

COME_BACK = "To come back, run: cloud-setup"


class SetupError(Exception):
    """It goes no further: `lines` say why, and `code` is the exit code."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__(" ".join(lines))
        self.code = code
        self.lines = lines
