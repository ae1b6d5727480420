"""The face for the Azure CLI: an extension that hands over to the commands inside azureml-core."""

from __future__ import annotations

from typing import Any

from azure.cli.core import AzCommandsLoader


class Loader(AzCommandsLoader):
    """What az asks for commands, and for the arguments of the one that is called.

    azureml is imported inside: az calls this for `az ml …`, and once to note which commands there are.
    """

    def load_command_table(self, args: Any) -> dict[str, Any]:
        from azureml._cli.aml_cli import load_azurecli_help, load_command_table_azurecli
        from knack.help_files import helps

        from aml_project.azml import repairs

        repairs.apply()  # first: the hooks take over functions as they find them
        load_command_table_azurecli(self, args)
        load_azurecli_help(helps)
        return dict(self.command_table)

    def load_arguments(self, command: str) -> None:
        from azureml._cli.aml_cli import load_arguments

        load_arguments(self, command)


COMMAND_LOADER_CLS = Loader
