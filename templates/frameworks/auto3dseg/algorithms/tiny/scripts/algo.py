"""What AutoRunner asks of an algorithm: fill its configuration from task.yaml and from the analysis of the data."""

from pathlib import Path
from typing import Any

from monai.apps.auto3dseg import BundleAlgo
from monai.bundle import ConfigParser

LABELS = "stats_summary#label_stats#labels"


class TinyAlgo(BundleAlgo):
    def fill_template_config(self, data_stats_filename: str, algo_path: str, **kwargs: Any) -> dict[str, Any]:
        task = ConfigParser.load_config_file(self.data_list_file)
        statistics = ConfigParser(ConfigParser.load_config_file(data_stats_filename))
        filled = {
            "bundle_root": str(Path(algo_path).resolve()),
            "data_file_base_dir": str(Path(task["dataroot"]).resolve()),
            "data_list_file_path": str(Path(task["datalist"]).resolve()),
            "output_classes": int(max(statistics.get(LABELS))) + 1,  # the background is one of them
            # A search copies an algorithm and says no more of which fold it is: the folder, NAME_FOLD_…, does.
            "fold": int(kwargs.get("fold", Path(algo_path).name.split("_")[1])),
        }
        file = Path(algo_path, "configs", "hyper_parameters.yaml")
        config = ConfigParser.load_config_file(file)
        ConfigParser.export_config_file({**config, **filled}, file, fmt="yaml", default_flow_style=None)
        return {file.name: filled}
