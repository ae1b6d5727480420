"""Train on all folds but one and judge by that one; stopped, the same command goes on after the last epoch.

python train.py run --config_file=configs/hyper_parameters.yaml --num_epochs=2

AutoRunner calls it so, several times at once by torchrun where there are several GPUs. By progress.yaml it sees that a
training is over, so that file comes last.
"""

import csv
import os
from pathlib import Path
from typing import Any

import fire
import torch
import torch.distributed as dist
import yaml
from infer import DEVICE, build, prepare
from monai.auto3dseg.utils import datafold_read
from monai.bundle import ConfigParser
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.metrics import DiceMetric
from monai.networks import one_hot
from monai.transforms import Compose, RandCropByPosNegLabeld, RandFlipd, SpatialPadd
from torch.nn.parallel import DistributedDataParallel

KEYS = ("image", "label")


def run(config_file: str | list[str], **override: Any) -> None:
    config = ConfigParser()
    config.read_config(config_file if isinstance(config_file, list) else config_file.strip("'"))
    config.update(override)
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1:
        dist.init_process_group("nccl" if DEVICE == "cuda" else "gloo")
        if DEVICE == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    train(config, rank, size)
    if size > 1:
        dist.destroy_process_group()


def train(config: ConfigParser, rank: int, size: int) -> None:
    folder = Path(config.get_parsed_content("ckpt_path"))
    folder.mkdir(parents=True, exist_ok=True)
    patch, epochs, classes = config["patch_size"], int(config["num_epochs"]), int(config["output_classes"])
    training, validation = datafold_read(
        config["data_list_file_path"], config["data_file_base_dir"], fold=int(config["fold"])
    )
    read, cut = prepare(*KEYS), patches(patch, int(config["patches_per_volume"]))
    volumes = [read(item) for item in training[rank::size] or training]
    judged = [read(item) for item in validation]

    torch.manual_seed(int(config["seed"]))
    net = build(classes)
    optimizer = torch.optim.Adam(net.parameters(), lr=float(config["learning_rate"]))
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    history: list[dict[str, float]] = []
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
        net.load_state_dict(saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        history = saved["history"]
        print(f"fold {config['fold']}: going on after epoch {len(history)}", flush=True)
    model = DistributedDataParallel(net) if size > 1 else net

    for epoch in range(len(history), epochs):
        seed = int(config["seed"]) + epoch
        torch.manual_seed(seed)
        cut.set_random_state(seed * size + rank)
        model.train()
        losses = []
        # Each process makes as many steps: the last of a longer share wait for nobody.
        for number in torch.randperm(max(len(training) // size, 1)).tolist():
            batch = cut(volumes[number])
            image, label = (torch.stack([part[key] for part in batch]).as_tensor().to(DEVICE) for key in KEYS)
            loss = loss_of(model(image), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        dice = judge(net, judged, patch, classes)
        history.append({"epoch": epoch + 1, "metric": dice, "loss": sum(losses) / len(losses)})
        if rank == 0:
            if dice >= max(entry["metric"] for entry in history):
                write_whole(net.state_dict(), folder / "best_metric_model.pt")
            state = {"weights": net.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
            write_whole(state, checkpoint)
            said = f"loss {history[-1]['loss']:.4f}, Dice {dice:.4f}"
            print(f"fold {config['fold']}, epoch {epoch + 1}: {said}", flush=True)
    if rank == 0:
        report(folder, history)


def patches(size: list[int], number: int) -> Compose:
    """Cut patches out of a volume, as many around the classes as anywhere else, half of them turned around."""
    return Compose(
        [
            SpatialPadd(KEYS, size),
            RandCropByPosNegLabeld(KEYS, label_key="label", spatial_size=size, num_samples=number),
            RandFlipd(KEYS, prob=0.5, spatial_axis=0),
        ]
    )


def judge(net: torch.nn.Module, volumes: list[Any], patch: list[int], classes: int) -> float:
    """The mean Dice of all classes but the background, over whole volumes."""
    net.eval()
    dice = DiceMetric(include_background=False)
    for volume in volumes:
        image, label = (volume[key].as_tensor()[None].to(DEVICE) for key in KEYS)
        with torch.no_grad():
            found = sliding_window_inference(image, patch, 4, net, overlap=0.5).argmax(1, keepdim=True)
        dice(one_hot(found, classes), one_hot(label, classes))
    return float(dice.aggregate().nan_to_num().item())


def report(folder: Path, history: list[dict[str, float]]) -> None:
    """Write what AutoRunner reads, in the words of MONAI's own algorithms."""
    with (folder / "accuracy_history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", "metric", "loss"], delimiter="\t")
        writer.writeheader()
        writer.writerows(history)
    best = max(history, key=lambda entry: entry["metric"])
    summary = [{"best_avg_dice_score": best["metric"], "best_avg_dice_score_epoch": best["epoch"]}]
    (folder / "progress.yaml").write_text(yaml.safe_dump(summary), encoding="utf-8")


def write_whole(content: Any, file: Path) -> None:
    """Write a file beside and move it: a training may be killed at any moment."""
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(file)


if __name__ == "__main__":
    fire.Fire({"run": run})
