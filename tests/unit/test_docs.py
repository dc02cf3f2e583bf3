import ast
import re
import tomllib
from pathlib import Path

import pytest

from kinema.cli import app
from kinema.core.metric_families import FAMILIES
from kinema.core.settings import Settings
from kinema.services.configuration.declared import MODULES, declared

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "kinema"


def headings(path):
    return set(re.findall(r"^## (.+)$", (ROOT / path).read_text(), re.MULTILINE))


def commands(parent=app, path=("kinema",)):
    for name in parent:
        if name.startswith("-"):
            continue
        child = parent[name]
        below = list(commands(child, (*path, name)))
        yield from below
        if child.default_command is not None or not below:
            yield " ".join((*path, name))


def test_every_setting_has_a_heading():
    assert set(Settings.__struct_fields__) <= headings("docs/settings.md")


def test_every_heading_is_a_setting():
    assert headings("docs/settings.md") <= set(Settings.__struct_fields__)


def test_every_property_has_a_heading_and_every_heading_is_a_property():
    assert set(declared()) == headings("docs/properties.md")


def declares_properties(path):
    """Say whether a module has a constant that is a Property."""
    for node in ast.parse(path.read_text()).body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call):
            function = value.func.value if isinstance(value.func, ast.Subscript) else value.func
            if isinstance(function, ast.Name) and function.id == "Property":
                return True
    return False


def test_the_table_names_every_module_that_declares_properties():
    found = [
        path for path in sorted(SOURCES.rglob("*.py")) if "Property" in path.read_text() and declares_properties(path)
    ]
    names = [".".join(path.relative_to(SOURCES.parent).with_suffix("").parts) for path in found]
    assert sorted(MODULES) == names, "services/configuration/declared.py has one row for each"


def test_every_command_has_a_heading_and_every_heading_is_a_command():
    assert set(commands()) == headings("docs/parts/cli.md")


def test_every_metric_is_documented_as_it_is():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    documented = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]
    assert documented == [(family.name, family.kind, family.labels) for family in FAMILIES]


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
def test_every_link_to_a_file_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())
    # The screenshot of the home page is made by the browser tests.
    missing = [target for target in targets if not (page.parent / target).exists() and "images/" not in target]
    assert missing == []


def test_the_import_contract_names_every_room():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {room.strip() for layer in layers for room in layer.split("|")}
    rooms = {
        path.stem
        for path in (ROOT / "src" / "kinema").iterdir()
        if (path.is_dir() and (path / "__init__.py").exists()) or path.suffix == ".py"
    }
    assert named == rooms - {"__init__"}
