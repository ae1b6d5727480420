"""The wheel gets these modules from the rendered project's scripts; here they are taken from where they lie."""

import sys
from pathlib import Path
from types import ModuleType

CLI = Path(__file__).resolve().parents[1]
scripts = ModuleType("aml_template_scripts")
scripts.__path__ = [str(CLI.parents[1] / "{{cookiecutter.project_slug}}" / "scripts")]
sys.modules.setdefault("aml_template_scripts", scripts)
sys.path.insert(0, str(CLI))
