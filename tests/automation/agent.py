"""A small agent of Azure Pipelines: takes an expanded pipeline from stage to stage, and runs its steps in their order.

As there, each job has a clone of its own, and finds of another's work only what is handed on; bash goes on after a line
that has failed; only an AzureCLI@2 step is logged in; what a step sets for others is what it prints for the agent.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.automation.pipelines import MACRO, OUTPUT, Node, jobs_of, needs, script_of, steps_of, variables_of

COMMAND = re.compile(r"^##vso\[([\w.]+) ?([^\]]*)\](.*)$", re.MULTILINE)
SUCCEEDED, FAILED, SKIPPED = "Succeeded", "Failed", "Skipped"
Nodes = dict[str, Node]


@dataclass
class Agent:
    """What it has for a run: variables of the group, a login; what it keeps of each: results, summaries, artifacts."""

    pipeline: Node
    repository: Path
    work: Path
    group: dict[str, str]
    login: Callable[[str], dict[str, str]]  # what a task has of a service connection, by its name
    prepare: Callable[[Path], object] = lambda _: None
    reason: str = "IndividualCI"
    branch: str = "refs/heads/main"
    provider: str = "TfsGit"  # Azure Repos
    of_fork: bool = False
    token: str = "the token of this job"
    artifacts: dict[str, Path] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    logged_in: dict[str, set[str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def run(self, *, again: bool = False) -> dict[str, str]:
        """Go through the stages; `again` is the button that runs what has failed, and what waited for it."""
        stages: Nodes = {stage["stage"]: stage for stage in self.pipeline["stages"]}
        for name, stage in stages.items():
            if not self.goes(stage, [self.results[one] for one in needs(stages, name)]):
                self.results[name] = SKIPPED
                continue
            jobs = jobs_of(stage)
            for job in jobs:
                place = f"{name}.{job}"
                if again and self.results.get(place) == SUCCEEDED:
                    continue
                wanted = [self.results[f"{name}.{one}"] for one in needs(jobs, job)]
                goes = self.goes(jobs[job], wanted)
                self.results[place] = self.run_job(name, stage, place, jobs[job]) if goes else SKIPPED
            of = {self.results[f"{name}.{job}"] for job in jobs}
            self.results[name] = SUCCEEDED if of == {SUCCEEDED} else FAILED
        return self.results

    def goes(self, node: Node, before: list[str]) -> bool:
        """Whether a condition holds; without one, that all before has succeeded."""
        good = all(result == SUCCEEDED for result in before)
        words: dict[str, Any] = {
            "and_": lambda *parts: all(parts),
            "or_": lambda *parts: any(parts),
            "eq": lambda one, other: one == other,
            "ne": lambda one, other: one != other,
            "always": lambda: True,
            "succeeded": lambda: good,
            "succeededOrFailed": lambda: SKIPPED not in before,
            "variables": {
                "Build.Reason": self.reason,
                "Build.Repository.Provider": self.provider,
                "Build.SourceBranch": self.branch,
                "System.PullRequest.IsFork": str(self.of_fork),
            },
        }
        condition = re.sub(r"\b(and|or)\(", r"\1_(", str(node.get("condition", "succeeded()")))
        return bool(eval(condition, {"__builtins__": {}}, words))

    def run_job(self, stage: str, stage_node: Node, place: str, job: Node) -> str:
        """Run the steps of a job in a clone of its own."""
        folder = self.work / place
        shutil.rmtree(folder, ignore_errors=True)
        own = variables_of(stage_node) | variables_of(job)
        variables = {name: self.group.get(name, value) for name, value in own.items()}
        variables = {name: self.output(stage, value) for name, value in variables.items()}
        variables |= {"Build.SourcesDirectory": str(folder),
                      "System.TeamProjectId": "project", "System.DefinitionId": "7"}  # fmt: skip
        result = SUCCEEDED
        for step in steps_of(job):
            title = step.get("displayName") or next(iter(step.values()))
            if not self.goes(step, [result]):
                self.log.append(f"{place}: {title}: {SKIPPED}")
                continue
            done = self.run_step(place, step, folder, variables)
            self.log.append(f"{place}: {title}: {done}")
            if done == FAILED and not step.get("continueOnError"):
                result = FAILED
        return result

    def output(self, stage: str, value: str) -> str:
        """A variable's value: what another job has set, where it names that."""
        parts = OUTPUT.fullmatch(value)
        if not parts:
            return value
        kind, place, step, name = parts.groups()
        return self.outputs.get(f"{place if kind == 'stageDependencies' else f'{stage}.{place}'}.{step}.{name}", "")

    def run_step(self, place: str, step: Node, folder: Path, variables: dict[str, str]) -> str:
        def put(text: str) -> str:
            return MACRO.sub(lambda found: put(variables[found[1]]) if found[1] in variables else found[0], text)

        variables |= {"System.AccessToken": self.access_token(step)}
        inputs = {name: put(str(value)) for name, value in step.get("inputs", {}).items()}
        if "checkout" in step:
            shutil.copytree(self.repository, folder, symlinks=True)
            self.prepare(folder)
        elif "script" in step or step.get("task") == "AzureCLI@2":
            env = {name: put(str(value)) for name, value in step.get("env", {}).items()}
            shown = {re.sub(r"\W", "_", name).upper(): put(text) for name, text in variables.items()
                     if name != "System.AccessToken"}  # fmt: skip
            if "task" in step:
                self.logged_in.setdefault(place, set()).add(inputs["azureSubscription"])
                login = self.login(inputs["azureSubscription"])
                env = {name: text for name, text in login.items() if name != "SYSTEM_ACCESSTOKEN"} | env
            return self.run_script(f"{place}.{step.get('name')}", put(script_of(step)), folder, shown | env)
        elif step.get("task") == "PublishTestResults@2":
            found = sorted(folder.glob(inputs["testResultsFiles"]))
            self.reports += [file.read_text(encoding="utf-8") for file in found]
            return SUCCEEDED if found else FAILED
        elif step.get("task") == "PublishBuildArtifacts@1":
            kept = self.work / "artifacts" / inputs["ArtifactName"]
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / inputs["PathtoPublish"], kept)
            self.artifacts[inputs["ArtifactName"]] = kept
        elif step.get("task") == "DownloadBuildArtifacts@1":
            if inputs["artifactName"] not in self.artifacts:
                return FAILED
            name = inputs["artifactName"]
            shutil.copytree(self.artifacts[name], Path(inputs["downloadPath"], name))
        else:
            assert step == {"download": "none"}, f"{place}: no part of this agent: {step}"
        return SUCCEEDED

    def access_token(self, step: Node) -> str:
        """By which a task may ask who it is, or a step write to a pull request; a step has it if it is given it."""
        connection = step.get("inputs", {}).get("azureSubscription")
        return self.login(connection).get("SYSTEM_ACCESSTOKEN", "") if connection else self.token

    def run_script(self, place: str, script: str, folder: Path, env: dict[str, str]) -> str:
        """Run it by bash as the agent does: without -e."""
        temporary = self.work / "temp"
        temporary.mkdir(exist_ok=True)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", script],
            cwd=folder,
            env=os.environ | {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(temporary)} | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        for command, options, value in COMMAND.findall(done.stdout):
            given = dict(option.split("=", 1) for option in options.split(";") if "=" in option)
            if command == "task.setvariable" and given.get("isOutput") == "true":
                self.outputs[f"{place}.{given['variable']}"] = value
            elif command == "task.uploadsummary":
                self.summaries.append(Path(value).read_text(encoding="utf-8"))
        self.log += [f"    {line}" for line in done.stdout.splitlines()]
        return SUCCEEDED if done.returncode == 0 else FAILED
