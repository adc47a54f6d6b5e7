"""The order of the rooms of engine/, read from the imports themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LEVELS = {
    "errors": 0,
    "limits": 0,
    "types": 0,
    "names": 0,
    "descriptions": 1,
    "masks": 1,
    "video": 2,
    "store": 2,
    "runtime": 2,
    "evaluation": 3,
    "rendering": 3,
    "weights": 3,
    "nn": 3,
    "flow": 3,
    "memory": 3,
    "models": 4,
    "propagation": 5,
    "generation": 6,
    "training": 6,
    "annotation": 6,
}
WITH_TORCH = {
    "runtime",
    "weights",
    "nn",
    "flow",
    "memory",
    "models",
    "propagation",
    "generation",
    "training",
    "annotation",
}
HEAVY = {"torch", "torchvision", "cv2", "h5py", "av", "numpy", "PIL", "imageio", "engine"}
LIGHT_ENGINE = {"engine.errors"}

FILES = sorted((ROOT / "engine").rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(ROOT / "engine").parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[str]:
    """Absolute names of everything imported; `from engine import store` counts as engine.store."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            if node.module == "engine":
                yield from (f"engine.{alias.name}" for alias in node.names)


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_imports_point_to_lower_levels(path):
    room = _room(path)
    if room == "__init__":
        assert not list(_imports(_tree(path)))
        return
    assert room in LEVELS, f"{room} has no level"
    for name in _imports(_tree(path)):
        parts = name.split(".")
        assert parts[0] != "mugvos_cli", "the engine knows nothing of the command line"
        if parts[0] == "engine" and len(parts) > 1 and parts[1] in LEVELS and parts[1] != room:
            assert LEVELS[parts[1]] < LEVELS[room], f"{room} (level {LEVELS[room]}) imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if _room(path) not in WITH_TORCH], ids=_named)
def test_rooms_without_torch(path):
    forbidden = {"torch", "torchvision", *(f"engine.{room}" for room in WITH_TORCH)}
    for name in _imports(_tree(path)):
        parts = name.split(".")
        assert parts[0] not in forbidden and ".".join(parts[:2]) not in forbidden, name


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_the_engine_prints_nothing(path):
    calls = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


@pytest.mark.parametrize("path", sorted((ROOT / "mugvos_cli").rglob("*.py")), ids=_named)
def test_the_command_line_imports_heavy_things_only_when_it_runs(path):
    tree = _tree(path)
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for name in _imports(ast.Module(body=top, type_ignores=[])):
        assert name in LIGHT_ENGINE or name.split(".")[0] not in HEAVY, name


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "mugvos_cli").rglob("*.py"))], ids=_named)
def test_modules_say_what_they_are_and_stay_short(path):
    text = path.read_text("utf-8")
    assert ast.get_docstring(_tree(path)), "a module opens with its purpose"
    assert text.count("\n") <= 350
