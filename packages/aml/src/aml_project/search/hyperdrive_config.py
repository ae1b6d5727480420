"""A search as HyperDrive has it: for the client, and as the file of `azml run submit-hyperdrive`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aml_project.command_line import DONE
from aml_project.files import write_whole
from aml_project.project import shown
from aml_project.search import azure_space
from aml_project.search.definition import Search
from aml_project.search.engines import Order

WEEK = 7 * 24 * 60  # minutes
SAMPLINGS = {
    "random": "RandomParameterSampling",
    "grid": "GridParameterSampling",
    "bayesian": "BayesianParameterSampling",
}
POLICIES = {
    "": "NoTerminationPolicy",
    "bandit": "BanditPolicy",
    "median": "MedianStoppingPolicy",
    "truncation": "TruncationSelectionPolicy",
}


def minutes(search: Search) -> int:
    return max(round(search.hours * 60), 1) if search.hours else WEEK


def configured(search: Search, source: Any, trials: int, **more: Any) -> Any:
    """The search as the client has it (HyperDriveConfig), of what each trial runs."""
    from azureml.train import hyperdrive

    policy, settings = azure_space.policy(search)
    return hyperdrive.HyperDriveConfig(
        run_config=source,
        hyperparameter_sampling=getattr(hyperdrive, SAMPLINGS[search.algorithm])(space_of(search)),
        policy=getattr(hyperdrive, POLICIES[policy])(**settings),
        primary_metric_name=search.metric,
        primary_metric_goal=hyperdrive.PrimaryMetricGoal.from_str(search.goal),
        max_total_runs=trials,
        max_concurrent_runs=min(search.parallel, trials),
        max_duration_minutes=minutes(search),
        **more,
    )


def space_of(search: Search) -> dict[str, Any]:
    """The parameters as the client has them."""
    from azureml.train import hyperdrive

    found = {}
    for parameter in search.parameters:
        kind, arguments = azure_space.expression(parameter, search)
        found[f"--{parameter.name}"] = getattr(hyperdrive, kind)(*arguments)
    return found


def write(order: Order, file: Path) -> int:
    """The search as `azml run submit-hyperdrive` takes it."""
    import yaml

    search = order.search
    policy, settings = azure_space.policy(search)
    space = {parameter.name: azure_space.expression(parameter, search) for parameter in search.parameters}
    content = {
        "sampling": {
            "type": search.algorithm,
            "parameter_space": [
                # A choice takes its values one by one, the others their arguments.
                {"name": f"--{name}", "expression": kind, "values": arguments}
                for name, (kind, arguments) in space.items()
            ],
        },
        "policy": {"type": POLICIES[policy], **settings},
        "primary_metric_name": search.metric,
        "primary_metric_goal": search.goal.upper(),
        "max_total_runs": search.trials,
        "max_concurrent_runs": min(search.parallel, search.trials),
        "max_duration_minutes": minutes(search),
    }
    place = f"--path models/{order.model}"
    target = f" --target {order.on}" if order.on else ""
    head = (
        f"# Made of models/{order.model}/search.yml: logarithmic bounds are exponents here. To submit it:\n"
        f"#   azml run submit-hyperdrive -c {order.config} --hyperdrive-configuration-name {shown(file.resolve())}"
        f" -e {order.experiment}{target} {place}\n"
    )
    write_whole(file, head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    print(f"Written: {shown(file.resolve())}; its first lines say how it is submitted.")
    return DONE
