"""``.env.example``, written from the declarations."""

from tradingplatform.environment import OWN, SHEET
from tradingplatform.variables import Kind, Variable

_HEAD = """\
# Every variable, with its default. Copy to .env and change what you need; make run works
# without any of it. `make validate-env` checks the result. Lines that begin with "# NAME=" are
# empty by default. Write it anew with `manage.py validate_env --write-example`.
"""
_OWN_HEAD = "# --- of this platform ---"


def render() -> str:
    """Return the whole file."""
    lines = [_HEAD]
    for variable in SHEET:
        lines += _entry(variable)
    lines += ["", _OWN_HEAD]
    for variable in OWN:
        lines += _entry(variable)
    return "\n".join(lines) + "\n"


def _entry(variable: Variable) -> list[str]:
    lines = ["", f"# --- {variable.section} ---"] if variable.section else []
    remarks = []
    if variable.kind is Kind.CHOICE:
        remarks.append("one of " + ", ".join(variable.choices))
    elif variable.kind in {Kind.DURATION, Kind.SIZE, Kind.LIST, Kind.RATE, Kind.KEY}:
        remarks.append(variable.kind.value)
    if variable.note:
        remarks.append(variable.note)
    if variable.unused:
        remarks.append("not used")
    if remarks:
        lines.append("# " + "; ".join(remarks))
    if variable.default:
        return [*lines, f"{variable.name}={variable.default}"]
    return [*lines, f"# {variable.name}={variable.example or ''}"]
