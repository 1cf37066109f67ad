"""Docstrings of hopfax as Markdown, and the signatures that its modules get from their fields."""

import re
import textwrap

import griffe

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Warns|Source|Sources):(.*)$")
ENTRY = re.compile(r"^([A-Za-z_]\w*(?:, \w+)*): (.*)$")


class Sections(griffe.Extension):
    """Rewrites each docstring by `as_markdown` before it is rendered."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **_) -> None:
        """Show the fields of an `equinox.Module` as arguments: a final class has all of them itself."""
        fields = [member for member in cls.members.values() if _is_field(member)]
        if fields and cls.bases and not cls.name.startswith("Abstract") and "__init__" not in cls.members:
            parameters = griffe.Parameters(griffe.Parameter("self"), *map(_parameter, fields))
            made = griffe.Function("__init__", parameters=parameters, parent=cls, analysis="static")
            cls.set_member("__init__", made)


def _is_field(member: griffe.Object | griffe.Alias) -> bool:
    return member.is_attribute and member.annotation is not None and "ClassVar" not in str(member.annotation)


def _parameter(field: griffe.Attribute) -> griffe.Parameter:
    default = field.value
    if isinstance(default, griffe.ExprCall) and str(default.function).endswith("field"):
        keywords = {k.name: k.value for k in default.arguments if isinstance(k, griffe.ExprKeyword)}
        default = keywords.get("default", "..." if "default_factory" in keywords else None)
    kind = griffe.ParameterKind.positional_or_keyword
    return griffe.Parameter(field.name, annotation=field.annotation, kind=kind, default=default)


def as_markdown(docstring: str) -> str:
    """Each section a paragraph or a list, whether it stands on one line or on many."""
    written: list[str] = []
    lines = docstring.expandtabs().splitlines()
    while lines:
        line = lines.pop(0)
        section = SECTION.match(line)
        if section is None:
            written.append(line)
            continue
        body = []
        while lines and (not lines[0].strip() or lines[0].startswith(" ")):
            body.append(lines.pop(0))
        written += ["", f"**{section.group(1)}:**{section.group(2)}", *_body(section.group(2), body)]
        written += [] if section.group(2).strip() else [""]
    return "\n".join(written).strip()


def _body(first: str, lines: list[str]) -> list[str]:
    """Continuation lines as they are, or entries as a list."""
    plain = textwrap.dedent("\n".join(lines)).strip("\n").splitlines()
    if first.strip() or not any(ENTRY.match(line) for line in plain):
        return plain
    return [
        "",
        *(ENTRY.sub(r"- `\1`: \2", line) if ENTRY.match(line) else f"  {line}".rstrip() for line in plain),
    ]
