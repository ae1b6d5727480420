"""aml compute as far as it goes without a workspace: what it takes from the runconfigs, refuses and announces."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from aml_project import names
from aml_project.command_line import Failure
from aml_project.runconfigs import clusters
from aml_project.service import compute
from aml_template import rules
from tests.aml import aml
from tests.owner import Hurry

SECRET = "c2VjcmV0IG9mIG1pbmU"


def dry_run(project: Path, *args: str) -> dict[str, str]:
    code, out, err = aml(project, "compute", "--dry-run", *args)
    assert code == 0, err
    first, *rows = out.splitlines()
    return {"first": first, "err": err} | dict(row.strip().split("  ", 1) for row in rows)


def add_model(project: Path, name: str, target: str, nodes: int) -> Path:
    model = project / "models" / name
    shutil.copytree(project / "models" / "model1", model)
    file = model / "aml_config" / "train-amlcompute.runconfig"
    text = file.read_text().replace('target: "cpu-cluster"', f"target: {target}")
    file.write_text(text.replace("nodeCount: 1", f"nodeCount: {nodes}"))
    return file


def test_a_dry_run_says_what_would_be_made(project: Path, no_client: None) -> None:
    rows = {title: text.strip() for title, text in dry_run(project).items()}
    assert rows == {
        "first": "Would make the cluster cpu-cluster, if it is not there yet; asked nobody:",
        "err": "",
        "workspace": "my-workspace in my-group",
        "VM size": "Standard_DS3_v2",
        "nodes": "0 to 4",
        "idle": "300 seconds until a node goes",
        "SSH": "off",
    }
    more = dry_run(
        project, "--vm-size=Standard_NC6s_v3", "--low-priority", "--min-nodes=1", "--max-nodes=9", "--idle-seconds=60"
    )
    assert more["VM size"].strip() == "Standard_NC6s_v3, low priority"
    assert (more["nodes"].strip(), more["idle"].strip()[:2]) == ("1 to 9", "60")


def test_the_cluster_is_as_large_as_the_largest_run(project: Path, no_client: None) -> None:
    add_model(project, "wide", '"cpu-cluster"', 7)
    add_model(project, "narrow", '"cpu-cluster"', 2)
    assert dry_run(project)["nodes"].strip() == "0 to 7"
    assert dry_run(project, "--model=narrow")["nodes"].strip() == "0 to 4"
    assert dry_run(project, "--max-nodes=3")["nodes"].strip() == "0 to 3"


def test_of_many_clusters_one_has_to_be_named(project: Path, no_client: None) -> None:
    add_model(project, "other", "gpu-cluster", 5)
    code, out, err = aml(project, "compute", "--dry-run")
    assert (code, out) == (2, "")
    assert err == "ERROR: --name: say which; the runconfigs name cpu-cluster, gpu-cluster\n"
    assert "gpu-cluster" in dry_run(project, "--model=other")["first"]
    assert dry_run(project, "--name=gpu-cluster")["nodes"].strip() == "0 to 5"
    assert dry_run(project, "--name=third")["nodes"].strip() == "0 to 4"


def test_a_runconfig_that_cannot_be_read_is_left_out(project: Path) -> None:
    file = add_model(project, "broken", "gpu-cluster", 5)
    file.write_text("target: [")
    said = dry_run(project)
    assert "cpu-cluster" in said["first"]
    assert "NOTE: left out: models/broken/aml_config/train-amlcompute.runconfig: line " in said["err"]
    file.write_text("target: &x 'gpu-cluster'\nnodeCount: 6\n")  # what only the thorough reader reads
    assert dry_run(project, "--name=gpu-cluster")["nodes"].strip() == "0 to 6"


def test_without_a_cluster_in_the_runconfigs_a_name_is_asked_for(project: Path, no_client: None) -> None:
    (project / "models" / "model1" / "aml_config" / "train-amlcompute.runconfig").unlink()
    code, _, err = aml(project, "compute", "--dry-run")
    assert (code, err) == (2, "ERROR: --name: no runconfig names a cluster; give one\n")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--name", "a"], "--name: 2 to 16 characters"),
        (["--name", "my_cluster"], "--name: 2 to 16 characters"),
        (["--name", "cluster-"], "--name: 2 to 16 characters"),
        (["--name", "AmlCompute"], "--name: AmlCompute is a word of the client's own"),
        (["--vm-size", "D2"], "--vm-size: an Azure VM size"),
        (["--min-nodes", "-1"], "--min-nodes: a whole number from 0, not -1"),
        (["--max-nodes", "0"], "--max-nodes: a whole number from 1, not 0"),
        (["--idle-seconds", "0"], "--idle-seconds: a whole number from 1, not 0"),
        (["--idle-seconds", "5m"], "--idle-seconds: invalid int value: '5m'"),
        (["--min-nodes", "5", "--dry-run"], "--min-nodes: 5 is more than the most, 4"),
        (["--min-nodes", "5", "--max-nodes", "3"], "--min-nodes: 5 is more than the most, 3"),
        (["--ssh-user", "me"], "--ssh-user and --ssh-key-file: give both"),
        (["--ssh-key-file", "key.pub"], "--ssh-user and --ssh-key-file: give both"),
        (["--ssh-user", "", "--ssh-key-file", "key.pub"], "give --ssh-user"),
        (["--ssh-user", "Me!", "--ssh-key-file", "key.pub"], "--ssh-user: 1 to 32 of a-z"),
        (["--model", "none"], "--model: no such model: none; models here: model1"),
    ],
)
def test_wrong_use_gets_one_line(project: Path, no_client: None, args: list[str], named: str) -> None:
    code, out, err = aml(project, "compute", *args)
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert named in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n", "a private key"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n", "a private key"),
        (f"PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\n{SECRET}\n", "a private key"),
        (f"ssh-rsa {SECRET * 3} me@here\nssh-rsa {SECRET * 3} you@there\n", "more than one line"),
        (f"my password is {SECRET}", "not a public key"),
        (f"ssh-rsa {SECRET}", "not a public key"),
        (f"ssh-rsa {SECRET * 3};{SECRET}", "not a public key"),
        (b"\xff\xfe\x00\x01" * 40, "not a public key"),
    ],
)
def test_what_is_no_public_key_is_refused_and_not_shown(
    project: Path, no_client: None, tmp_path: Path, content: str | bytes | None, said: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = aml(project, "compute", "--ssh-user=me", f"--ssh-key-file={file}", "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith(f"ERROR: --ssh-key-file: {file}: ")
    assert said in err
    assert err.count("\n") == 1
    assert SECRET not in err


KEYS: dict[str, Callable[[], Any]] = {
    "ssh-rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ssh-ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa-sha2-nistp256": lambda: ec.generate_private_key(ec.SECP256R1()),
}


@pytest.mark.parametrize("kind", KEYS)
def test_of_a_pair_of_keys_only_the_public_one_is_taken(project: Path, tmp_path: Path, kind: str) -> None:
    pair = KEYS[kind]()
    own, public = tmp_path / "key", tmp_path / "key.pub"
    own.write_bytes(pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    line = pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    public.write_text(f"{line} me at home\r\n")
    assert clusters.read_public_key(public) == f"{line} me at home"
    assert line.startswith(kind)
    assert dry_run(project, "--ssh-user=me", f"--ssh-key-file={public}")["SSH"].strip() == "for me"
    with pytest.raises(Failure, match=r"a private key, which stays with you; .*key\.pub$"):
        clusters.read_public_key(own)


@given(st.text(alphabet=st.sampled_from("aZ09-_.é \n/"), max_size=20))
@example("a" * 16)
@example("a" * 17)
def test_the_names_have_the_rules_of_the_questions(text: str) -> None:
    candidates = {"compute_name": text, "vm_size": f"Standard_{text}", "dataset_name": text}
    for field, candidate in candidates.items():
        accepts = rules.RULES[field][0]
        ours = bool(re.fullmatch(names.RULES[field][0], candidate))
        assert ours == bool(candidate and accepts(candidate))
    assert re.fullmatch(names.RULES["vm_size"][0], "STANDARD_DS3_V2"), "as the service writes it"
    assert not re.fullmatch(names.RULES["vm_size"][0], text)


@pytest.mark.parametrize(("text", "seconds"), [("PT300S", 300), ("PT5M", 300), ("PT1H1M", 3660), ("P1D", 86400)])
def test_the_services_times_are_read(text: str, seconds: int) -> None:
    scale = {"minNodeCount": 1, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": text}
    record = {"properties": {"properties": {"scaleSettings": scale}}}
    assert compute.limits_of(record) == {"min_nodes": 1, "max_nodes": 2, "idle_seconds": seconds}


def test_the_services_reasons_are_found_however_deep() -> None:
    deep = [
        {"error": {"code": "ClusterCoreQuotaReached", "message": "The quota is 0.", "details": [{"message": "Ask."}]}}
    ]
    assert compute.reasons(deep) == "The quota is 0; Ask"
    assert compute.reasons(None) == ""
    assert len(compute.reasons({"message": "x" * 5000})) < 400


@pytest.mark.parametrize("state", ["Creating", "Updating", "Deleting"])
def test_a_cluster_that_is_never_ready_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, hurry: Hurry, state: str
) -> None:
    monkeypatch.setattr(compute, "find", lambda *_: {"properties": {"provisioningState": state}})
    with pytest.raises(Failure, match=f"^mine: still {state.lower()} after .* the same command goes on$") as failure:
        compute.settled(None, "mine")
    assert failure.value.code == 3
    assert sum(hurry.pauses) == pytest.approx(compute.PATIENCE, abs=compute.POLL)
