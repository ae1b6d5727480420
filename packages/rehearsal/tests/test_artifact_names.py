"""Artifacts by the real client, whatever they are called: it quotes the path of the addresses it gets once more."""

from __future__ import annotations

from callers import Client

from aml_rehearsal import Rehearsal

NAMES = ["a b/c d.txt", "100%.txt", "ü/日本 ✓.txt", "it's+(1)~[x].txt", " edge "]
# The client's download_file puts a name into its address as it is: of these, the service never hears.
LOST = ["a%20b%25.txt", "#1?q=2&r.txt"]


def test_artifacts_of_any_name(rehearsal: Rehearsal, client: Client) -> None:
    answer = client(f"""
names, lost = {NAMES!r}, {LOST!r}
run = Experiment(ws, "names").start_logging(snapshot_directory=None)
for name in names + lost:
    Path("up.txt").write_text(name)
    run.upload_file(name, "up.txt")
picture = Path("one picture.png"); picture.write_bytes(b"\\x89PNG\\r\\n\\x1a\\n")
run.log_image("an image of 100 %", path=str(picture))
answer["id"], answer["listed"] = run.id, run.get_file_names()
for number, name in enumerate(names):
    run.download_file(name, f"down{{number}}")
answer["one by one"] = [Path(f"down{{number}}").read_text() for number in range(len(names))]
answer["lost"] = []
for name in lost:
    try:
        run.download_file(name, "lost")
    except Exception as error:
        answer["lost"].append("was not found" in str(error))
run.download_files(output_directory="all")
found = [file for file in Path("all").rglob("*") if file.is_file()]
answer["all"] = {{str(file.relative_to("all")): file.read_text(errors="replace") for file in found}}
Path("folder/deep er").mkdir(parents=True); Path("folder/deep er/50 %.txt").write_text("half")
run.upload_folder("in a folder", "folder")
answer["model"] = run.register_model("odd-names", model_path="in a folder").download("model")
run.flush()  # the client sends metrics once a second
answer["image"] = run.get_metrics()["an image of 100 %"]
run.complete()
""")
    assert set(NAMES + LOST) < set(answer["listed"])
    assert answer["one by one"] == NAMES
    assert answer["lost"] == [True, True]
    assert [answer["all"][name] for name in NAMES + LOST] == NAMES + LOST
    assert answer["model"] == "model/in a folder/deep er/50 %.txt"
    assert answer["image"].startswith("aml://artifactId/ExperimentRun/")
    for name in NAMES + LOST:
        assert rehearsal.artifact(answer["id"], name) == name.encode()
