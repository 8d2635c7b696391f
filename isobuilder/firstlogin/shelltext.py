"""Files of NAME=VALUE lines, as shells read them: /etc/sysconfig and the like."""

import re
from typing import Dict, List


def variables(text: str) -> Dict[str, str]:
    """NAME=VALUE lines as a shell would read them, quotes taken off. Nothing is expanded, and nothing executed."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*\Z", line)
        if match:
            value = re.match(r"\"([^\"]*)\"|'([^']*)'|([^#]*?)(?:\s+#.*)?\Z", match.group(2))
            found[match.group(1)] = next((one for one in value.groups() if one is not None), "") if value else ""
    return found


def assigned(before: str, name: str, value: str) -> str:
    """A file of NAME=VALUE lines with this one assignment, once, where it was or at the end; value needs no quotes."""
    line = f"{name}={value}"
    if variables(before).get(name) == value:
        return before
    lines: List[str] = []
    for old in before.splitlines():
        if not re.match(rf"\s*{name}=", old):
            lines.append(old)
        elif line not in lines:
            lines.append(line)
    if line not in lines:
        lines.append(line)
    return "".join(one + "\n" for one in lines)
