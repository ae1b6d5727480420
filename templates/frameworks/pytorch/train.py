"""Train a network on a table or on a folder of images, judge it, and write all that scoring needs to outputs/.

python train.py
torchrun --nproc_per_node 2 train.py
"""

import argparse
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.parallel import DistributedDataParallel

import network
from runtime import checkpoints, images, input_schema, report, samples
from runtime.arguments import TASKS, add_data_arguments, own_task, parse, reading, sample_label
from runtime.data import download, split_label
from runtime.distributed import Processes, gathered, joined, wait
from runtime.loading import loader
from runtime.network_arguments import add_network_arguments, positive
from runtime.stopping import waited
from runtime.tables import read_table
from runtime.tracking import Log, tracked

OUTPUTS = Path("outputs")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the model; results go to outputs/.")
    add = parser.add_argument
    add("--task", choices=TASKS, default=own_task(), help="what to predict (default: %(default)s)")
    add("--label", default=sample_label(), help="column of a table to predict (default: %(default)s)")
    add("--epochs", type=positive, default=10, help="passes over the data (default: %(default)s)")
    add("--batch-size", type=positive, default=32, help="samples in a step, over all processes (default: %(default)s)")
    add("--learning-rate", type=float, default=1e-3, help="size of a step (default: %(default)s)")
    add_network_arguments(parser)  # --data-path, --seed, --resume and more: python train.py --help
    add_data_arguments(parser)
    return parse(parser, argv)


def load_data(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Read the table; return the features and the labels."""
    return split_label(read_table(args.data_path, args.label, reading(args)), args.label, args.task)


def fit(
    net: nn.Module, data: samples.Data, args: argparse.Namespace, processes: Processes, log: Log
) -> list[dict[str, float]]:
    """Teach the network; return the losses of each epoch. All processes share a batch, and make the same step."""
    optimizer = torch.optim.Adam(net.parameters(), lr=args.learning_rate, fused=True)
    history: list[dict[str, float]] = []
    best = net.state_dict()
    if saved := checkpoints.resume(args, data, processes):
        net.load_state_dict(saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        history, best = saved["history"], saved["best"]

    model = torch.compile(net) if args.compile else net
    if processes.size > 1:
        model = DistributedDataParallel(model)
    batches = samples.Batches(data.split.train, args.batch_size, processes.rank, processes.size)
    load = loader(data, batches, args.workers, DEVICE)
    faster = torch.autocast(DEVICE, torch.bfloat16) if args.amp else nullcontext()
    balance = data.class_weights(args.class_weight == "balanced")
    weight = None if balance is None else torch.from_numpy(balance).to(DEVICE)
    loss_of = partial(cross_entropy, weight=weight) if data.classes else mse_loss
    watched = "validation_loss" if len(data.split.validation) else "loss"

    for epoch in range(len(history), args.epochs):
        if args.es_patience >= 0 and waited(history, watched) > args.es_patience:
            break
        torch.manual_seed(args.seed + epoch)
        batches.shuffle(args.seed, epoch)
        net.train()
        total = torch.zeros((), device=DEVICE)
        for step, (inputs, labels) in enumerate(load):
            whole = min(args.batch_size, len(data.split.train) - step * args.batch_size)
            with faster:
                outputs = model(inputs.to(DEVICE, non_blocking=True))
            # The processes' gradients are averaged: so each one's part counts by its share of the whole batch.
            loss = loss_of(outputs.float(), labels.to(DEVICE, non_blocking=True), reduction="sum")
            optimizer.zero_grad()
            (loss * (processes.size / whole)).backward()
            optimizer.step()
            total += loss.detach()
        losses = {"loss": gathered(total).item() / len(data.split.train)}
        if not losses["loss"] < float("inf"):
            raise SystemExit(f"epoch {epoch + 1}: the loss is no number any more: try a smaller --learning-rate")
        if len(data.split.validation):
            guessed = predict(net, data, data.split.validation, args, processes)
            wanted = torch.from_numpy(data.labels[data.split.validation])
            losses["validation_loss"] = loss_of(guessed.to(DEVICE), wanted.to(DEVICE)).item()
        history.append(losses)
        if waited(history, watched) == 0:
            best = {name: weights.clone() for name, weights in net.state_dict().items()}
        if processes.rank == 0:
            weights, steps = net.state_dict(), optimizer.state_dict()
            checkpoints.save(args, data, weights=weights, optimizer=steps, best=best, history=history)
        print(f"epoch {epoch + 1}:", *(f"{name} {value:.4f}" for name, value in losses.items()), flush=True)
        log.metrics(losses, step=epoch)
    if args.es_patience >= 0:
        net.load_state_dict(best)
    return history


def predict(
    net: nn.Module, data: samples.Data, indices: np.ndarray, args: argparse.Namespace, processes: Processes
) -> Tensor:
    """The network's outputs for each of the samples: every process computes some, and all get all."""
    found = torch.zeros(len(indices), data.outputs)
    size, share = max(args.batch_size, 256), (processes.rank, processes.size)
    places = samples.Batches(np.arange(len(indices)), size, *share)
    load = loader(data, samples.Batches(indices, size, *share), args.workers, DEVICE)
    net.eval()
    with torch.inference_mode():
        for place, (inputs, _) in zip(places, load, strict=True):
            found[torch.from_numpy(place)] = net(inputs.to(DEVICE)).cpu()
    return gathered(found)


def main() -> None:
    args = parse_args()
    with joined(DEVICE) as processes, images.told(args.data_path), tracked(args, processes.rank == 0) as log:
        download(args.dataset, args.data_path, processes.local_rank, wait)
        torch.manual_seed(args.seed)
        data = samples.read(args, load_data)
        net = network.build(data.shape, data.outputs).to(DEVICE)
        history = fit(net, data, args, processes, log)
        outputs = network.answer(predict(net, data, data.split.test, args, processes)).numpy()
        if processes.rank == 0:
            judge(net, data, history, data.answers(outputs), log)


def judge(net: nn.Module, data: samples.Data, history: list[dict[str, float]], answers: np.ndarray, log: Log) -> None:
    """Judge the model, and write it with all that scoring needs."""
    from evaluation import evaluate, summary, write_json
    from runtime.figures import plot_losses, plot_misclassified

    folder = OUTPUTS / "evaluation"
    metrics = evaluate(data.actual[data.split.test], answers, data.classes, folder, log.args.threshold)
    write_json(folder / "loss_curve.json", history)
    plot_losses(history).savefig(folder / "loss_curve.png")
    plot_misclassified(data, answers, folder / "misclassified.png")
    log.metrics(metrics)
    log.folder(folder)
    log.file(report.write(OUTPUTS, data.profile, log.args, metrics))

    folder = OUTPUTS / "model"
    folder.mkdir(parents=True, exist_ok=True)
    network.save(folder / "model.pt", net, data.shape, data.outputs)
    input_schema.save(folder, data.schema(log.args, metrics))
    if data.encoding:
        data.encoding.save(folder)
    write_json(OUTPUTS / "metrics.json", metrics)
    rows = f"Trained on {len(data.split.train)} rows, tested on {len(data.split.test)}{data.how}"
    print(f"{rows}: {summary(metrics)}")


if __name__ == "__main__":
    main()
