"""The network, how a volume is prepared for it, and what AutoRunner's ensemble asks of an algorithm: InferClass."""

from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.inferers import sliding_window_inference
from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped, LoadImaged, NormalizeIntensityd
from torch import nn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CHANNELS = 12


def build(classes: int) -> nn.Module:
    """Four convolutions, each voxel seen with its neighbours; two processor cores train it in a minute."""
    layers: list[nn.Module] = []
    for inputs, dilation in ((1, 1), (CHANNELS, 2), (CHANNELS, 1)):
        convolution = nn.Conv3d(inputs, CHANNELS, 3, padding=dilation, dilation=dilation)
        layers += [convolution, nn.BatchNorm3d(CHANNELS), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv3d(CHANNELS, classes, 1)).to(DEVICE)


def prepare(*keys: str) -> Any:
    """Read what lies under these keys; the image is scaled by its own mean and deviation."""
    return Compose(
        [
            LoadImaged(keys),
            EnsureChannelFirstd(keys),
            NormalizeIntensityd("image"),
            EnsureTyped(keys, dtype=torch.float32),
        ]
    )


class InferClass:
    """A volume in, the probability of each class in each of its voxels out."""

    def __init__(self, config_file: Any, **override: Any) -> None:
        config = ConfigParser()
        config.read_config(config_file)
        config.update(override)
        weights = Path(config.get_parsed_content("ckpt_path"), "best_metric_model.pt")
        self.patch_size = config["patch_size"]
        self.network = build(config["output_classes"])
        self.network.load_state_dict(torch.load(weights, map_location=DEVICE, weights_only=True))
        self.network.eval()
        self.prepare = prepare("image")

    def infer(self, image_file: Any) -> torch.Tensor:
        image = self.prepare({"image": image_file["image"] if isinstance(image_file, dict) else image_file})["image"]
        with torch.no_grad():
            outputs = sliding_window_inference(image[None].to(DEVICE), self.patch_size, 4, self.network, overlap=0.5)
        return torch.softmax(outputs[0], 0)  # still with the image's place in space, for the file that is written
