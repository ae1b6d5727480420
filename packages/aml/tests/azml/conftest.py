"""The wheel gets these modules from the rendered project's scripts; here they are taken from a copy of them.

A copy, because bytecode beside the sources would be rendered.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

CLI = Path(__file__).resolve().parents[1]
SOURCES = CLI.parents[1] / "{{cookiecutter.project_slug}}" / "scripts" / "azure_ml"
COPY = tempfile.TemporaryDirectory(prefix="aml-template-scripts-")
scripts = ModuleType("aml_template_scripts")
scripts.__path__ = [str(shutil.copytree(SOURCES, COPY.name, dirs_exist_ok=True))]
sys.modules.setdefault("aml_template_scripts", scripts)
sys.path.insert(0, str(CLI))
