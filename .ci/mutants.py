"""What may be wrong with a module: one operator, number, word, condition or argument of it at a time.

Left alone: annotations, error messages, f-strings, strings with a space, reprs, what a class holds beside its
functions, and the strict of a zip.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

PAIRS = ("Add Sub", "Mult Div", "LShift RShift", "BitAnd BitOr", "And Or", "Lt LtE", "Gt GtE")
PAIRS += ("Eq NotEq", "Is IsNot", "In NotIn")
SWAPS = dict(pair.split() for pair in PAIRS) | dict(pair.split()[::-1] for pair in PAIRS)
SWAPS |= {"FloorDiv": "Div", "Mod": "Div", "Pow": "Mult", "MatMult": "Mult", "BitXor": "BitAnd"}

Mutant = tuple[range, bool, Callable[[], None]]
"""Lines, whether they are inside a function, and what changes the tree."""


def changed(node: ast.AST) -> ast.AST | None:
    """What stands instead of a node, if it is one that changes."""
    match node:
        case ast.Constant(bool(value)):
            return ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            return ast.Constant(value + 1)
        case ast.Constant(str(value)) if value and " " not in value:
            return ast.Constant(f"XX{value}XX")
        case ast.UnaryOp():
            return node.operand
        case ast.Expr(ast.Call()):
            return ast.Pass()
    return getattr(ast, SWAPS[kind])() if (kind := type(node).__name__) in SWAPS else None


def left_alone(node: ast.AST, inside: bool) -> bool:
    """Whether nothing in a node changes."""
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.Expr(ast.Constant()) | ast.keyword("strict"):
            return True
        case ast.Assign([ast.Name(name)], value):
            # Names of types are unions.
            return name == "__all__" or (
                not inside and any(w in ast.unparse(value) for w in (" | ", "Literal"))
            )
        case ast.FunctionDef(name=name):
            return name in ("__repr__", "_repr_html_") or "overload" in map(ast.unparse, node.decorator_list)
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def mutants(node: ast.AST, lines: range = range(1), inside: bool = False) -> Iterator[Mutant]:
    """All mutants of a module, always in the same order."""
    for field, value in () if left_alone(node, inside) else ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases", "ctx"):
            continue
        holder = value if isinstance(value, list) else node.__dict__
        for key, child in enumerate(value) if isinstance(value, list) else [(field, value)]:
            if not isinstance(child, ast.AST):
                continue
            if isinstance(node, ast.ClassDef) and not isinstance(child, ast.FunctionDef):
                continue
            here = range(child.lineno, child.end_lineno + 1) if hasattr(child, "lineno") else lines
            within = inside or (isinstance(node, ast.FunctionDef) and field == "body")
            if (new := changed(child)) is not None:
                yield here, within, lambda holder=holder, key=key, new=new: holder.__setitem__(key, new)
            if isinstance(child, ast.keyword) and child.arg not in (None, "strict"):
                yield here, within, lambda holder=holder, key=key: holder.__delitem__(key)
            if field == "test" and isinstance(child, ast.Name | ast.Call | ast.Attribute):
                new = ast.UnaryOp(ast.Not(), child)
                yield here, within, lambda holder=holder, key=key, new=new: holder.__setitem__(key, new)
            yield from mutants(child, here, within)


def mutated(path: str, number: int) -> tuple[ast.Module, range, bool]:
    """The module with one of its mutants, the mutant's lines, and whether they are inside a function."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), path)
    lines, inside, apply = list(mutants(tree))[number]
    apply()
    return ast.fix_missing_locations(tree), lines, inside
