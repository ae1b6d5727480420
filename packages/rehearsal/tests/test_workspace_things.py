"""What a workspace has beside its runs, by the real client."""

from __future__ import annotations

from callers import Caller, Client

from aml_rehearsal import Rehearsal


def test_children_archives_snapshots_secrets(rehearsal: Rehearsal, client: Client) -> None:
    answer = client("""
import zipfile
Path("source/de ep").mkdir(parents=True); Path("source/de ep/50 %.txt").write_text("half")
experiment = Experiment(ws, "with-children")
parent = experiment.start_logging(snapshot_directory="source")
children = parent.create_children(tag_key="which", tag_values=["a", "b"])
children[0].log("x", 1); children[0].complete(); children[1].fail()
parent.complete()
answer["children"] = sorted([child.get_tags()["which"], child.get_status()] for child in parent.get_children())
answer["parent"] = children[0].parent.id == parent.id
archive = zipfile.ZipFile(parent.restore_snapshot(path="snapshot"))
answer["snapshot"] = {name: archive.read(name).decode() for name in archive.namelist()}
def listed(view):
    return "with-children" in [found.name for found in Experiment.list(ws, view_type=view)]
experiment.archive()
answer["archived"] = [listed(view) for view in ("ActiveOnly", "ArchivedOnly", "All")]
experiment.reactivate()
answer["active"] = [listed(view) for view in ("ActiveOnly", "ArchivedOnly", "All")]
vault = ws.get_default_keyvault()
vault.set_secret("one", "1"); vault.set_secrets({"two": "2", "three": "3"}); vault.delete_secret("three")
answer["secrets"] = [vault.get_secret("one"), vault.get_secrets(["two", "three"]), vault.list_secrets()]
answer["no secret"] = [refused(lambda: vault.get_secret("three")), refused(lambda: vault.set_secret("a b", "1"))]
answer["workspaces"] = list(Workspace.list(ws.subscription_id, auth=login))
""")
    assert answer["children"] == [["a", "Completed"], ["b", "Failed"]]
    assert answer["parent"]
    assert answer["snapshot"] == {"de ep/50 %.txt": "half"}
    assert answer["archived"] == [False, True, True]
    assert answer["active"] == [True, False, True]
    assert answer["secrets"] == ["1", {"two": "2", "three": None}, [{"name": "one"}, {"name": "two"}]]
    assert "was not found in this key vault" in answer["no secret"][0] and "letters, digits" in answer["no secret"][1]
    assert answer["workspaces"] == [rehearsal.workspace.names.workspace_name]


def test_a_reader_gets_no_secret(rehearsal: Rehearsal, caller: Caller) -> None:
    assert caller.ask("PUT", "/credential/v2.0SCOPE/secrets", {"name": "hidden", "value": "1"})[0] == 200
    reader = Caller(rehearsal, "reader")
    assert reader.ask("GET", "/credential/v2.0SCOPE/secrets/hidden")[0] == 403
    assert reader.ask("POST", "/credential/v2.0SCOPE/secrets:getbatch", {"secrets": [{"name": "hidden"}]})[0] == 403


def test_whether_a_name_is_free(caller: Caller) -> None:
    path = f"https://management.azure.com{caller.scope}/checkComputeNameAvailability"
    head = {"Authorization": f"Bearer {caller.token}"}
    for name, free in ((b"free-name", True), (b"cpu-cluster", False), (b"-", False)):
        status, answer = caller.send("POST", path, b'{"Name": "' + name + b'"}', head)
        assert (status, answer["nameAvailable"]) == (200, free)
