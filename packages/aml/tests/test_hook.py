"""What follows a render: a notebook, packages, the commands that come next."""

HEAD


# --- the hook --------------------------------------------------------------------------------------------------------


def render(cwd: Path, *args: str, path: str | None = None, python: Path = BIN, **answers: str) -> Done:
    """Render with cookiecutter as from a shell that stands in `cwd`."""
    env = os.environ | {"PWD": str(cwd)} | ({"PATH": path} if path else {})
    parts = [str(python / "cookiecutter"), "--no-input", *args, str(TEMPLATE)]
    parts += [f"{question}={text}" for question, text in answers.items()]
    done = subprocess.run(parts, cwd=cwd, env=env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_hook_takes_a_notebook_from_where_the_user_stands(bake: Bake, tmp_path: Path) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    given = write(here / "sub" / "my nb.ipynb", "A = 1", "print(A, open('x.csv').read())")
    (given.parent / "x.csv").write_text("x")
    for number, said in enumerate(("sub/my nb.ipynb", str(given))):
        done = render(here, "-o", str(out), notebook=said, project_slug=f"p{number}")
        assert (done.code, done.err) == (0, "")
        project = out / f"p{number}"
        assert (project / "notebooks" / given.name).read_bytes() == given.read_bytes()
        assert start(train_py(project), "--a", "2") == "2 x\n"
        assert not (project / "data" / "customers.csv").exists()
        assert "as the notebook does" in done.out
        assert "Before that" not in done.out
        assert not [name for name in files_of(project) if "__pycache__" in name or ".uv" in name]
    fresh = files_of(bake())
    changed = {name for name, content in files_of(out / "p0").items() if fresh.get(name) != content}
    assert {"models/model1/train.py", "models/model1/tests/test_notebook.py", "data/x.csv"} <= changed


def test_a_notebook_that_is_not_there_or_broken_costs_no_render(bake: Bake, tmp_path: Path) -> None:
    fresh = files_of(bake())
    (tmp_path / "broken.ipynb").write_text("{")
    for slug, notebook, said, kept in (
        ("missing", "none.ipynb", f"ERROR: {tmp_path / 'none.ipynb'}: no such notebook\n", {}),
        ("broken", "broken.ipynb", "ERROR: broken.ipynb: not a notebook: it is not JSON", {f"{OWN}broken.ipynb": b"{"}),
    ):
        done = render(tmp_path, notebook=notebook, project_slug=slug)
        assert done.code == 0
        assert said in done.err
        assert done.err.count("\n") == 1
        project = tmp_path / slug
        assert f"  make notebook NB={tmp_path / notebook} MODEL=model1 ARGS=--force\n" in done.out
        assert train_py(project).read_bytes() == fresh["models/model1/train.py"]
        assert {name: project_file for name, project_file in files_of(project).items() if name.startswith(OWN)} == kept
        assert not (project / "models" / "model1" / "tests" / "test_notebook.py").exists()
        assert (project / "data" / "customers.csv").exists()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has cookiecutter, and none of what converts."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    own = Path(next(path for path in sys.path if path.endswith("site-packages")))
    needed = [
        *("cookiecutter", "jinja2", "markupsafe", "click", "binaryornot", "chardet", "requests", "urllib3", "idna"),
        *("certifi", "charset_normalizer", "slugify", "text_unidecode", "yaml", "arrow", "dateutil", "six", "rich"),
        *("markdown_it", "mdurl", "pygments", "tzdata"),
    ]
    for name in needed:
        for place in (own / name, own / f"{name}.py", *own.glob(f"{name}-*.dist-info")):
            if place.exists():
                (site / place.name).symlink_to(place)
    command = folder / "venv" / "bin" / "cookiecutter"
    command.write_text(f"#!{folder / 'venv' / 'bin' / 'python'}\nfrom cookiecutter.__main__ import main\nmain()\n")
    command.chmod(0o755)
    return command.parent


@pytest.mark.parametrize("with_uv", [False, True], ids=["no uv", "uv offline"])
def test_without_what_converts_everything_is_kept_for_later(
    bare: Path, bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_uv: bool
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(bare / "python3")
    for name in ("git", *(["uv"] if with_uv else [])):
        (tools / name).symlink_to(shutil.which(name) or BIN / name)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    write(tmp_path / "nbs" / "train.ipynb", "print(1)")
    write(tmp_path / "nbs" / "b.ipynb", "print(2)")
    given = write(tmp_path / "one.ipynb", "print(1)")
    for slug, notebook in (("single", "one.ipynb"), ("several", "nbs")):
        done = render(tmp_path, path=str(tools), python=bare, notebook=notebook, project_slug=slug)
        assert done.code == 0
        errors = [line for line in done.err.splitlines() if "nbconvert" in line and line.startswith("ERROR: ")]
        assert len(errors) == 1, done.err
        reason = "uv could not bring what is missing" if with_uv else "there is no uv to bring what is missing"
        assert f"nbconvert and IPython are not in this Python, and {reason}" in errors[0]
        assert done.out.count(f"make notebook NB={tmp_path / notebook} MODEL=model1") == 1, done.out
        project = tmp_path / slug
        assert train_py(project).read_bytes() == files_of(bake())["models/model1/train.py"]
        assert not [name for name in files_of(project) if "__pycache__" in name]
    assert (tmp_path / "single" / "notebooks" / "one.ipynb").read_bytes() == given.read_bytes()
    assert sorted(path.name for path in (tmp_path / "several" / "notebooks").iterdir()) == ["b.ipynb", "train.ipynb"]


def test_rendered_again_and_a_second_model(bake: Bake, tmp_path: Path) -> None:
    first = write(tmp_path / "first.ipynb", "print('first')")
    write(tmp_path / "second.ipynb", "print('second', open('new.csv').read())")
    (tmp_path / "new.csv").write_text("new")
    assert render(tmp_path, notebook="first.ipynb").code == 0
    project = tmp_path / "my-aml-project"
    assert start(train_py(project)) == "first\n"
    for path in (train_py(project), project / "data" / "customers.csv"):
        path.write_text("print('edited')\n")
    old = time.time() - 3600
    for path in project.rglob("*"):
        os.utime(path, (old, old))
    before = files_of(project)

    first.write_text(json.dumps(nb("print('changed')")))
    done = render(tmp_path, "-f", "-s", notebook="first.ipynb")
    assert done.code == 0
    assert files_of(project) == before, "an owner's model was changed"
    assert "ERROR: notebooks/first.ipynb: another notebook of this name is there" in done.err

    done = render(tmp_path, "-f", "-s", notebook="second.ipynb", model_name="model2")
    assert (done.code, done.err) == (0, "")
    after = files_of(project)
    assert {name: content for name, content in after.items() if name in before} == before
    assert start(project / "models" / "model2" / "train.py") == "second new\n"
    new = {name for name in after if name not in before and not name.startswith("models/model2/")}
    assert new == {"data/new.csv", "notebooks/second.ipynb"}
    assert "make setup train test MODEL=model2" in done.out


def test_nothing_is_started_when_nothing_is_given(tmp_path: Path) -> None:
    """The hooks alone run in processes of their own, and import no subprocess."""
    log = tmp_path / "log"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "def told():\n"
        "    seen = {'subprocess', 'pathlib', 'json', 'importlib.util'} & set(sys.modules)\n"
        f"    open({str(log)!r}, 'a').write(f'{{os.path.basename(sys.argv[0])}} {{sorted(seen)}}\\n')\n"
        "atexit.register(told)\n"
    )
    env = {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [str(BIN / "cookiecutter"), "--no-input", str(TEMPLATE)],
        cwd=tmp_path,
        env=os.environ | env,
        capture_output=True,
    )
    assert done.returncode == 0
    started = [line for line in log.read_text().splitlines() if not line.startswith("cookiecutter ")]
    assert len(started) == 2, started
    assert all("subprocess" not in line and "pathlib" not in line for line in started), started
