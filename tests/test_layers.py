"""How the parts may depend on each other, read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"mesh": ROOT / "mesh", "mesh_cli": ROOT / "cli", "mesh_servers": ROOT / "servers"}
LAYERS = (
    {"errors", "memory", "version"},
    {
        "settings",
        "files",
        "links",
        "renames",
        "locks",
        "scan",
        "mounts",
        "front_matter",
        "codec",
        "line_merge",
        "field_merge",
        "inputs",
        "ranking",
        "contrary",
        "disagreement",
        "relevance",
        "folding",
        "spans",
        "sayings",
        "moments",
    },
    {
        "vault",
        "trash",
        "moves",
        "bulk",
        "replacing",
        "git",
        "secrets",
        "embedding",
        "merge",
        "rivals",
        "placing",
        "items",
        "merging",
    },
    {"index"},
    {
        "refresh",
        "purging",
        "file_reader",
        "served",
        "quarantine",
        "embed",
        "reembed",
        "current",
        "workspace",
        "learn",
        "change",
        "listing",
        "candidates",
        "recall",
        "reranking",
        "doctor",
        "remedies",
        "watcher",
        "home_events",
        "lease",
        "missing",
        "freshness",
        "keeper",
        "kept",
        "happened",
        "catching_up",
        "status",
        "namespaces",
        "linking",
        "counts",
        "feed",
        "hints",
        "lookout",
        "differences",
        "portability",
        "evaluation",
        "history",
        "sharing",
    },
    {
        "rows",
        "notices",
        "history_rows",
        "history_verbs",
        "sharing_verbs",
        "context",
        "api",
        "functions",
        "sync_process",
    },
    {"mesh_cli", "mesh_servers"},
)
HEAVY = {
    "numpy",
    "yaml",
    "torch",
    "mcp",
    "flask",
    "watchdog",
    "sentence_transformers",
    "transformers",
    "detect_secrets",
    "requests",
}
IMPORTED_ONLY_WHEN_NEEDED = {
    "mesh.embedding.bert": {"numpy"},  # by minilm, inside the function that loads the model
    "mesh_servers.http_app": {"flask"},  # by http_server, once its sockets listen
    **{f"mesh_servers.mcp_{name}": {"mcp"} for name in ("calls", "http", "notices", "protocol", "stdio")},  # mcp_server
}
ENVIRONMENT = {
    "mesh.settings": None,  # all of it
    "mesh_cli.running": {"COMPLETE_VARIABLE", "OPENBLAS_NUM_THREADS"},
    "mesh_cli.thin": None,  # which may not import the settings
    "mesh_cli.surroundings": None,  # hands a whole environment over
    "mesh_cli.warmth": None,  # makes one for rehearsals
    "mesh_cli.command_server": {"OPENBLAS_NUM_THREADS"},
    "mesh_servers.http_app": {"request.environ"},  # a request's, which is no environment of a process
    "mesh_servers.http_server": {"OPENBLAS_NUM_THREADS"},
    "mesh_servers.mcp_server": {"OPENBLAS_NUM_THREADS"},
}
MAX_LINES = 300


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            yield ".".join(parts).removesuffix(".__init__"), path


NAMES = dict(modules())


def imports(name: str, *, at_run_time: bool = False, at_start: bool = False) -> set[str]:
    """What a module imports, relative imports resolved.

    `at_run_time`: not what only type checkers see. `at_start`: nor what functions import.
    """
    path = NAMES[name]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                found.add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in NAMES else base)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and (at_run_time or at_start):
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and at_start:
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text("utf-8")))
    return found - {name}


def part(name: str) -> str | None:
    """The word by which `LAYERS` names a module: of `mesh.index.plan`, `index`. None for `mesh` itself."""
    package, _, rest = name.partition(".")
    return package if package != "mesh" else rest.partition(".")[0] or None


def layer(name: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part(name) in parts)


def is_ours(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES


def test_every_module_has_a_layer():
    """A new module is put into one, and a layer names nothing that is gone."""
    there = {part(name) for name in NAMES} - {None}
    assert there == set.union(*LAYERS)


@pytest.mark.parametrize("name", [name for name in NAMES if part(name)])
def test_imports_go_down_or_stay_within_the_layer(name):
    """Also those inside functions and those for type checkers only."""
    up = {other for other in imports(name) if is_ours(other) and part(other) and layer(other) > layer(name)}
    assert not up, f"{name} (layer {layer(name)}) imports from above: {sorted(up)}"


def test_the_library_never_imports_its_surfaces_nor_the_whole_of_itself():
    """`mesh` knows neither the command line nor the servers; no part of it imports the package `mesh`."""
    for name in NAMES:
        if name.startswith("mesh."):
            assert not {other for other in imports(name) if other in {"mesh", "mesh_cli", "mesh_servers"}}, name
            assert not {other for other in imports(name) if other.startswith(("mesh_cli.", "mesh_servers."))}, name
    for name in NAMES:
        if name.startswith("mesh_cli") and name != "mesh_cli.serving":  # the verb that starts a server
            assert not {other for other in imports(name) if other.startswith("mesh_servers")}, name


def test_no_two_modules_need_each_other():
    """Neither when they are loaded nor later inside a function."""
    graph = {name: imports(name, at_run_time=True) & NAMES.keys() for name in NAMES if part(name)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_only_the_settings_read_the_environment():
    """`os.environ` and `os.getenv` stand in mesh/settings.py; the command line sees two variables of its own."""
    for name, path in NAMES.items():
        allowed = ENVIRONMENT.get(name, set())
        if allowed is None:
            continue
        for node in ast.walk(tree := ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv"}:
                line = ast.get_source_segment(path.read_text("utf-8"), _statement(tree, node.lineno)) or ""
                first = line.splitlines()[0]
                assert any(word in first for word in allowed), f"{path}:{node.lineno} reads the environment: {first}"
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                assert not {alias.name for alias in node.names} & {"environ", "getenv", "putenv"}, path


def _statement(tree: ast.AST, line: int) -> ast.stmt:
    """The smallest statement that a line belongs to."""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return min(around, key=lambda node: (node.end_lineno or node.lineno) - node.lineno)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_heavy_is_imported_when_a_module_is(name):
    """numpy, YAML, torch, servers and watchers are imported by the functions that need them."""
    heavy = {other.partition(".")[0] for other in imports(name, at_start=True)} & HEAVY
    assert heavy <= IMPORTED_ONLY_WHEN_NEEDED.get(name, set()), f"{name} imports {sorted(heavy)} at its top"


def loaded_after(code: str) -> set[str]:
    """The top-level packages in `sys.modules` of a fresh Python after some code."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {line.partition(".")[0] for line in done.stdout.splitlines()}


def test_to_import_mesh_loads_nothing_heavy():
    """Neither the package alone nor with its class."""
    assert not loaded_after("import mesh") & (HEAVY | {"sqlite3", "typer", "asyncio"})
    assert not loaded_after("from mesh import Mesh") & (HEAVY | {"typer", "asyncio"})


def test_list_and_show_never_load_numpy(home):
    """A verb that looks at files only does not pay for vectors, and YAML waits for front matter that needs it."""
    (home / "shared").mkdir()
    (home / "shared" / "a.md").write_text("---\nid: aaaa1111\ntags: [a, b]\n---\nThe lamp is lit\n")
    for verb in ("list", "list --json", "show aaaa", "inspect", "list --trash"):
        code = f"""
import sys
from mesh_cli.main import main
sys.argv = ["mesh", *{verb!r}.split()]
try:
    main()
except SystemExit as end:
    assert not end.code, end
"""
        loaded = loaded_after(code)
        assert "sqlite3" in loaded or "trash" in verb
        assert not loaded & (HEAVY | {"rich", "pydantic", "asyncio"}), verb


def test_everything_public_in_the_api_says_what_it_does():
    """Every class and every method of mesh/api.py without an underscore has a docstring."""
    tree = ast.parse((ROOT / "mesh" / "api.py").read_text("utf-8"))
    public = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_")
    ]
    assert {"Mesh", "learn", "recall"} <= {node.name for node in public}
    assert not [node.name for node in public if not ast.get_docstring(node)]


def test_every_package_is_installed():
    """An editable install would not notice one that is missing from pyproject.toml."""
    there = {
        file.parent.relative_to(ROOT) for top in ("mesh", "cli", "servers") for file in ROOT.glob(f"{top}/**/*.py")
    }
    names = {".".join(path.parts).replace("cli", "mesh_cli").replace("servers", "mesh_servers") for path in there}
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(names) == sorted(said)


def test_no_module_is_without_a_docstring_or_longer_than_it_should_be():
    """At most 300 lines a file."""
    for name, path in NAMES.items():
        text = path.read_text("utf-8")
        assert ast.get_docstring(ast.parse(text)), f"{name} does not say what it is"
        assert len(text.splitlines()) <= MAX_LINES, f"{path} has {len(text.splitlines())} lines"
