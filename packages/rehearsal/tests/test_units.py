"""The parts that need no rehearsal."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from aml_rehearsal import certificates, conda_file, nodes, seed
from aml_rehearsal.addresses import Names
from aml_rehearsal.faults import Fault, Faults
from aml_rehearsal.messages import Refusal
from aml_rehearsal.routing import Router
from aml_rehearsal.services.artifacts import plain
from aml_rehearsal.state import State, Unavailable, claim, forget, set_status
from aml_rehearsal.tokens import LoginRefused, Tokens

# ---------------------------------------------------------------------------------------------------- routing


def test_a_route_knows_the_workspace_and_its_names() -> None:
    router = Router()

    @router.route("GET POST", "/x{scope}/runs/{run}", "/x{scope}/files/{path:rest}")
    def handler(workspace: Any, request: Any) -> Any:
        return None

    scope = Names("s", "g", "w").scope
    assert router.find("GET", f"/x{scope.upper()}/RUNS/r1")[1]["run"] == "r1"
    assert router.find("POST", f"/x{scope}/files/a/b.c")[1]["path"] == "a/b.c"
    for method, path in (("PUT", f"/x{scope}/runs/r1"), ("GET", f"/x{scope}/runs/r1/more"), ("GET", "/x/runs/r1")):
        with pytest.raises(Refusal, match="does not know") as refused:
            router.find(method, path)
        assert refused.value.reply.status == 501


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "..", "a/../../dcid.other/x"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(Refusal, match="leads out"):
        plain(path)


def test_a_path_that_stays_inside_is_made_plain() -> None:
    assert [plain(path) for path in ("a/./b", "a/x/../b", "outputs/", "..a")] == ["a/b", "a/b", "outputs/", "..a"]


# ----------------------------------------------------------------------------------------------------- tokens


def test_tokens_are_signed_and_expire() -> None:
    tokens = Tokens()
    token = tokens.issue("me", "reader")
    identity = tokens.check(f"Bearer {token}")
    assert (identity.name, identity.role) == ("me", "reader")
    head, claims, signature = token.split(".")
    forged = Tokens().issue("me", "contributor").split(".")[1]
    for wrong in (None, "", token, f"Basic {token}", "Bearer x.y", f"Bearer {head}.{forged}.{signature}",
                  f"Bearer {head}.{claims}.", f"Bearer {tokens.issue('me', 'reader', -1)}"):  # fmt: skip
        with pytest.raises(Refusal) as refused:
            tokens.check(wrong)
        assert refused.value.reply.status == 401
    tokens.expire_all()
    with pytest.raises(Refusal, match="expiry"):
        tokens.check(f"Bearer {token}")
    assert tokens.check(f"Bearer {tokens.issue('me', 'reader')}").role == "reader"


def test_a_principal_logs_in_with_its_own_secret_only() -> None:
    tokens = Tokens()
    one, other = tokens.principals["contributor"], tokens.principals["reader"]
    assert tokens.log_in(one.client_id, one.secret) is one
    for client_id, secret in ((one.client_id, other.secret), (one.client_id, ""), ("nobody", one.secret)):
        with pytest.raises(LoginRefused):
            tokens.log_in(client_id, secret)
    assert one.secret not in repr(one)


# ----------------------------------------------------------------------------------------------------- faults


def test_a_fault_strikes_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add(Fault(r"GET .*/runs/", status=503, times=2, skip=1))
    struck = [faults.take("GET", "host", "/runs/1") for _ in range(5)]
    assert [bool(fault) for fault in struck] == [False, True, True, False, False]
    assert faults.take("POST", "host", "/runs/1") is None
    assert faults.fired == ["GET host/runs/1"] * 2


def test_a_wrong_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="drop"):
        Fault("x", drop="sometimes")


# ----------------------------------------------------------------------------------------------- certificates


def test_the_chain_stands_strict_checking(tmp_path: Path) -> None:
    hosts = ["one.example.com", "two.example.com"]
    made = certificates.make(tmp_path, hosts)
    assert made.key.stat().st_mode & 0o077 == 0
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    client = ssl.create_default_context(cafile=str(made.root))
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN

    def greet(name: str) -> dict[str, Any]:
        here, there = socket.socketpair()

        def answer() -> None:
            try:
                server.wrap_socket(there, server_side=True).close()
            except OSError:
                there.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with client.wrap_socket(here, server_hostname=name) as connection:
                return dict(connection.getpeercert() or {})
        finally:
            here.close()
            thread.join()

    for host in hosts:
        assert [name for _, name in greet(host)["subjectAltName"]] == hosts
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        greet("three.example.com")


# ------------------------------------------------------------------------------------------------------ nodes


def test_a_conda_file_in_the_words_of_the_index() -> None:
    found = conda_file.read(["python=3.11.*", "pip", "libgomp", "anaconda::scikit-learn", {"pip": ["a==1", "b"]}])
    assert (found.version, found.packages) == ("3.11", ["scikit-learn", "a==1", "b"])
    assert [note.partition(":")[0] for note in found.notes] == ["libgomp", "anaconda"]
    assert [conda_file.read([f"python{text}"]).version for text in ("==3.10", "=3.8.13", "=3.9=h1_0", "", ">=3.9")] == [
        "3.10",
        "3.8.13",
        "3.9",
        f"{sys.version_info.major}.{sys.version_info.minor}",
        ">=3.9",
    ]


@pytest.mark.parametrize(
    ("asked", "package"),
    [
        ("pytorch=1.6", "torch==1.6.*"),
        ("Pandas==1.3.5", "pandas==1.3.5"),
        ("numpy 1.21.*", "numpy==1.21.*"),
        ("numpy=1.21.6=py38h_0", "numpy==1.21.6.*"),
        ("conda-forge::scipy>=1.5, <2", "scipy>=1.5,<2"),
        ("opencv", "opencv-python-headless"),
    ],
)
def test_packages_of_conda_on_the_index(asked: str, package: str) -> None:
    found = conda_file.read([asked])
    assert (found.packages, found.unknown) == ([package], [])
    assert package in found.notes[0]


def test_what_the_index_can_not_have() -> None:
    assert conda_file.read(["r-base=4", "a=1|2", "numpy"]).unknown == ["r-base=4", "a=1|2"]


def layout(**wish: Any) -> list[dict[str, str]]:
    return nodes.processes({"communicator": "None", "framework": "Python", "nodeCount": 1} | wish)


@pytest.mark.parametrize("communicator", ["IntelMpi", "OpenMpi", "Mpi"])
def test_mpi_starts_so_many_on_each_node(communicator: str) -> None:
    found = layout(communicator=communicator, nodeCount=4, mpi={"processCountPerNode": 8})
    assert [process["OMPI_COMM_WORLD_RANK"] for process in found] == [str(rank) for rank in range(32)]
    assert [process["OMPI_COMM_WORLD_LOCAL_RANK"] for process in found] == [str(rank % 8) for rank in range(32)]
    assert {process["OMPI_COMM_WORLD_SIZE"] for process in found} == {"32"}


@pytest.mark.parametrize("names", [{"communicator": "Nccl"}, {"communicator": "Gloo"}, {"framework": "PyTorch"}])
def test_pytorch_spreads_its_processes(names: dict[str, str]) -> None:
    found = layout(nodeCount=4, pytorch={"processCount": 32}, **names)
    assert [process["RANK"] for process in found] == [str(rank) for rank in range(32)]
    assert [process["NODE_RANK"] for process in found] == [str(rank // 8) for rank in range(32)]
    assert {process["LOCAL_WORLD_SIZE"] for process in found} == {"8"}
    assert len({(process["MASTER_ADDR"], process["MASTER_PORT"]) for process in found}) == 1
    assert len(layout(nodeCount=2, pytorch={}, **names)) == 2


def test_pytorch_processes_must_fit_the_nodes() -> None:
    with pytest.raises(Refusal, match="processCount: 5"):
        layout(communicator="Nccl", nodeCount=2, pytorch={"processCount": 5})


def test_tensorflow_tells_each_task_of_all_others() -> None:
    block = {"workerCount": 3, "parameterServerCount": 1}
    found = layout(framework="TensorFlow", communicator="ParameterServer", nodeCount=3, tensorflow=block)
    told = [json.loads(process["TF_CONFIG"]) for process in found]
    assert [(one["task"]["type"], one["task"]["index"]) for one in told] == [
        *(("worker", index) for index in range(3)),
        ("ps", 0),
    ]
    (cluster,) = {json.dumps(one["cluster"]) for one in told}
    addresses = json.loads(cluster)["worker"] + json.loads(cluster)["ps"]
    assert len(set(addresses)) == 4
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    workers = layout(communicator="ParameterServer", nodeCount=2, tensorflow={"parameterServerCount": 0})
    assert [set(json.loads(process["TF_CONFIG"])["cluster"]) for process in workers] == [{"worker"}] * 2


def test_a_single_process_has_no_rank() -> None:
    single = {"workerCount": 1, "parameterServerCount": 0}
    assert layout(communicator="ParameterServer", tensorflow=single) == [{}]
    assert layout() == layout(communicator="IntelMpi", mpi={"processCountPerNode": 1}) == [{}]


# ------------------------------------------------------------------------------------------------------- seed


def test_the_runconfigs_say_what_is_needed(project: Path) -> None:
    wishes = seed.read(project)
    assert wishes.clusters == {"cpu-cluster": ("Standard_DS3_v2", 2)}
    assert wishes.datasets == {"numbers": 1}
    assert wishes.names == Names()


SCOPE = Names("s-1", "my group", "ws").scope


@pytest.mark.parametrize(
    "config",
    [
        f'{{"Id": null, "Scope": "{SCOPE}"}}',
        f'{{"Id": "x", "Scope": "{SCOPE}/projects/x"}}',
        '{"subscription_id": "s-1", "resource_group": "my group", "workspace_name": "ws"}',
    ],
)
def test_an_attached_project_is_known_in_every_form(tmp_path: Path, config: str) -> None:
    (tmp_path / ".azureml").mkdir()
    (tmp_path / ".azureml/config.json").write_text(config)
    (tmp_path / ".cookiecutter.json").write_text('{"vm_size": "X"}')
    assert seed.read(tmp_path).names == Names("s-1", "my group", "ws")


@pytest.mark.parametrize("text", ["", "[1]", "3", "{", '{"Scope": 3}', '{"subscription_id": "s"}', "\xff"])
def test_broken_files_are_left_out(tmp_path: Path, text: str) -> None:
    for name in (".azureml/config.json", ".cookiecutter.json", "models/a/aml_config/x.runconfig"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    wishes = seed.read(tmp_path)
    assert (wishes.names, wishes.clusters, wishes.datasets) == (Names(), {}, {})
    assert wishes.nameless == [tmp_path / ".azureml/config.json"]


@pytest.mark.parametrize(
    "run", ["nodeCount: four", "data: {x: {}}", "data: [1]", "data: {x: {dataLocation: 1}}", "- a"]
)
def test_a_broken_runconfig_does_not_hide_the_others(tmp_path: Path, run: str) -> None:
    folder = tmp_path / "models/a/aml_config"
    folder.mkdir(parents=True)
    (folder / "a.runconfig").write_text(run)
    (folder / "b.runconfig").write_text("target: big\nnodeCount: 3")
    assert seed.read(tmp_path).clusters == {"big": ("Standard_DS3_v2", 3)}


# ------------------------------------------------------------------------------------------------------ state


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.lock:
        state.tables.runs["ü"] = {"status": "Failed"}
    assert {left.stat().st_mode & 0o777 for left in tmp_path.iterdir()} == {0o600}
    held = state.as_dict()
    state.close()
    assert [left.name for left in tmp_path.iterdir()] == ["state.db"]
    assert State(tmp_path).as_dict() == held


@pytest.mark.parametrize("text", ["", "[]", "[1]", "{", '{"runs": []}', '{"ids": null}'])
def test_a_damaged_state_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(Unavailable, match=r"state.json is damaged"):
        State(tmp_path)


def test_ids_are_random_or_the_same_each_time(tmp_path: Path) -> None:
    def three(*, deterministic: bool) -> list[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        state = State(folder, deterministic=deterministic)
        with state.lock:
            return [state.new_id() for _ in range(3)]

    assert three(deterministic=True) == three(deterministic=True)
    assert len({*three(deterministic=False), *three(deterministic=False), *three(deterministic=True)}) == 9


def test_a_folder_belongs_to_one_rehearsal(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(Unavailable, match="running here already"):
        claim(tmp_path)
    claim(tmp_path).close()


def test_what_is_forgotten_is_ours_only(tmp_path: Path) -> None:
    for name in ("state.db", "state.db-wal", "state.json", "state.json.old", "mine.txt"):
        (tmp_path / name).touch()
    (tmp_path / "blobs").mkdir()
    forget(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_that_is_to_stop_can_only_end() -> None:
    run: dict[str, Any] = {"status": "Queued", "startTimeUtc": None, "revision": 1}
    for status in ("Running", "CancelRequested", "Running"):
        set_status(run, status)
    assert run["status"] == "CancelRequested"
    set_status(run, "Canceled")
    set_status(run, "Failed", "too late")
    assert run["status"] == "Canceled" and "error" not in run


def test_azureml_without_a_version_is_none_of_2019() -> None:
    pip = ["azureml-core", " azureml-defaults", "azureml-defaults==1.0.45", "azureml-mlflow"]
    read = conda_file.read(["python=3.8", {"pip": pip}]).packages
    assert read == ["azureml-core>=1.34", "azureml-defaults>=1.34", "azureml-defaults==1.0.45", "azureml-mlflow"]
