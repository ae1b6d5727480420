"""Train a network on a table or on a folder of images, judge it, and write all that scoring needs to outputs/.

python train.py
With TF_CONFIG in its environment, as Azure ML's TensorFlow block sets it, it is one of several that train as one.
"""

import argparse
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors alone; TensorFlow reads it when it is imported
import keras
import tensorflow as tf

import network
from runtime import checkpoints, images, input_schema, report, samples
from runtime.arguments import TASKS, add_data_arguments, own_task, parse, reading, sample_label
from runtime.data import download, split_label
from runtime.distributed import Processes, gathered, joined, own
from runtime.loading import loader, signature
from runtime.network_arguments import add_network_arguments, positive
from runtime.stopping import waited
from runtime.tables import read_table
from runtime.tracking import Log, tracked

OUTPUTS = Path("outputs")


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
    net: keras.Model, data: samples.Data, args: argparse.Namespace, processes: Processes, log: Log
) -> list[dict[str, float]]:
    """Teach the network; return the losses of each epoch. All processes share a batch, and make the same step."""
    optimizer = keras.optimizers.Adam(args.learning_rate)
    optimizer.build(net.trainable_variables)
    # Each device adds to its own; it is their sum when it is read.
    total = tf.Variable(
        0.0, synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.SUM, trainable=False
    )
    history: list[dict[str, float]] = []
    best = net.get_weights()
    if saved := checkpoints.resume(args, data, processes):
        assign(net.variables, saved["weights"])
        assign(optimizer.variables, saved["optimizer"])
        history, best = saved["history"], saved["best"]

    balance = data.class_weights(args.class_weight == "balanced")

    def loss_of(labels: Any, outputs: Any) -> Any:
        if not data.classes:
            return tf.math.squared_difference(labels, outputs)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        return losses if balance is None else losses * tf.gather(balance, labels)

    @tf.function(jit_compile=args.compile)
    def gradients(inputs: Any, labels: Any, whole: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            outputs = net(inputs, training=True)
            loss = tf.reduce_sum(loss_of(labels, outputs))
            # The optimizer adds the devices' gradients up: so each one's part counts by its share of the whole batch.
            part = loss / whole
        return loss, tape.gradient(part, net.trainable_variables)

    @tf.function(input_signature=[*signature(data), tf.TensorSpec([])])
    def step(inputs: Any, labels: Any, whole: Any) -> None:
        def on_each_device() -> None:
            loss, found = gradients(own(inputs), own(labels), whole)
            optimizer.apply(found)
            total.assign_add(loss)

        tf.distribute.get_strategy().run(on_each_device)

    batches = samples.Batches(data.split.train, args.batch_size, processes.rank, processes.size)
    watched = "validation_loss" if len(data.split.validation) else "loss"
    for epoch in range(len(history), args.epochs):
        if args.es_patience >= 0 and waited(history, watched) > args.es_patience:
            break
        batches.shuffle(args.seed, epoch)
        total.assign(0.0)
        for number, (inputs, labels) in enumerate(loader(data, batches, args.workers)):
            step(inputs, labels, min(args.batch_size, len(data.split.train) - number * args.batch_size))
        losses = {"loss": float(total.read_value()) / len(data.split.train)}
        if not losses["loss"] < float("inf"):
            raise SystemExit(f"epoch {epoch + 1}: the loss is no number any more: try a smaller --learning-rate")
        if len(data.split.validation):
            guessed = predict(net, data, data.split.validation, args, processes)
            losses["validation_loss"] = float(tf.reduce_mean(loss_of(data.labels[data.split.validation], guessed)))
        history.append(losses)
        if waited(history, watched) == 0:
            best = net.get_weights()
        if processes.rank == 0:
            weights, steps = as_arrays(net.variables), as_arrays(optimizer.variables)
            checkpoints.save(args, data, history, weights=weights, optimizer=steps, best=best)
        print(f"epoch {epoch + 1}:", *(f"{name} {value:.4f}" for name, value in losses.items()), flush=True)
        log.metrics(losses, step=epoch)
    if args.es_patience >= 0:
        net.set_weights(best)
    return history


def as_arrays(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


@cache
def answering(net: keras.Model) -> Any:
    """The network's outputs from each device, as a graph: made once, however many epochs ask."""

    @tf.function(reduce_retracing=True)
    def answer(inputs: Any) -> Any:
        strategy = tf.distribute.get_strategy()
        outputs = strategy.run(lambda: net(own(inputs), training=False))
        return strategy.experimental_local_results(outputs)

    return answer


def predict(
    net: keras.Model, data: samples.Data, indices: np.ndarray, args: argparse.Namespace, processes: Processes
) -> np.ndarray:
    """The network's outputs for each of the samples: every process computes some, and all get all."""
    found = np.zeros((len(indices), data.outputs), np.float32)
    size, share = max(args.batch_size, 256), (processes.rank, processes.size)
    places = samples.Batches(np.arange(len(indices)), size, *share)
    load = loader(data, samples.Batches(indices, size, *share), args.workers)
    for place, (inputs, _) in zip(places, load, strict=True):
        parts = answering(net)(inputs)
        for device, part in enumerate(parts):
            found[place[device :: len(parts)]] = part
    return gathered(found)


def main() -> None:
    args = parse_args()
    with joined() as processes, images.told(args.data_path), tracked(args, processes.rank == 0) as log:
        download(args.dataset, args.data_path)
        keras.utils.set_random_seed(args.seed)
        keras.config.set_dtype_policy("mixed_bfloat16" if args.amp else "float32")
        data = samples.read(args, load_data)
        net = network.build(data.shape, data.outputs)
        history = fit(net, data, args, processes, log)
        net = network.in_32_bits(net, data.shape, data.outputs) if args.amp else net
        outputs = np.asarray(network.answer(predict(net, data, data.split.test, args, processes)))
        if processes.rank == 0:
            judge(net, data, history, data.answers(outputs), log)


def judge(net: keras.Model, data: samples.Data, history: list[dict[str, float]], answers: np.ndarray, log: Log) -> None:
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
    network.save(folder / "model.keras", net)
    input_schema.save(folder, data.schema(log.args, metrics))
    if data.encoding:
        data.encoding.save(folder)
    write_json(OUTPUTS / "metrics.json", metrics)
    rows = f"Trained on {len(data.split.train)} rows, tested on {len(data.split.test)}{data.how}"
    print(f"{rows}: {summary(metrics)}")


if __name__ == "__main__":
    main()
