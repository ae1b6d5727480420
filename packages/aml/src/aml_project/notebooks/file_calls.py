"""Which calls read or write a file, and which of their arguments names it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

READ, WRITE = "read", "write"
Static: TypeAlias = Callable[[ast.AST | None], "str | None"]  # the text of an expression, where it can be told

# call: position of the argument. A name that begins with a dot is a method of whatever object; `*` stands for the rest.
READERS = {
    **dict.fromkeys(("pandas.read_*", "polars.read_*", "polars.scan_*", "geopandas.read_file", "pandas.ExcelFile"), 0),
    **dict.fromkeys(("numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap"), 0),
    **dict.fromkeys(("joblib.load", "torch.load", "scipy.io.loadmat", "onnx.load", "xarray.open_dataset"), 0),
    **dict.fromkeys(("PIL.Image.open", "cv2.imread", "matplotlib.pyplot.imread", "skimage.io.imread"), 0),
    **dict.fromkeys(("imageio.imread", "imageio.v2.imread", "imageio.v3.imread", "h5py.File", "gzip.open"), 0),
    **dict.fromkeys(("bz2.open", "lzma.open", "zipfile.ZipFile", "tarfile.open", "pyarrow.parquet.read_table"), 0),
    **dict.fromkeys(("codecs.open", "io.open", "open", "sqlite3.connect", "shelve.open"), 0),
    "configparser.read": 0, "xgboost.DMatrix": 0,
    **dict.fromkeys(("tensorflow.keras.models.load_model", "keras.models.load_model", "mlflow.log_artifact"), 0),
    **dict.fromkeys(("os.path.exists", "os.path.isfile", "os.path.getsize", "os.stat"), 0),
    "onnxruntime.InferenceSession": 0,
    **dict.fromkeys((".load_model", ".load_weights", "datasets.load_from_disk", "librosa.load", "soundfile.read"), 0),
    "shutil.copy": 0, "shutil.copyfile": 0, "shutil.unpack_archive": 0,
}  # fmt: skip
# The same for folders and patterns.
FOLDER_READERS = {
    **dict.fromkeys(("os.listdir", "os.scandir", "os.walk", "os.path.isdir", "glob.glob", "glob.iglob"), 0),
    **dict.fromkeys(("tensorflow.keras.utils.image_dataset_from_directory", "torchvision.datasets.ImageFolder"), 0),
    **dict.fromkeys(("keras.utils.image_dataset_from_directory", ".flow_from_directory", "shutil.copytree"), 0),
    "torchvision.datasets.DatasetFolder": 0,
}
WRITERS = {
    **dict.fromkeys(("joblib.dump", "torch.save", "onnx.save", "pyarrow.parquet.write_table", "xgboost.save_model"), 1),
    **dict.fromkeys(("numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt", "pandas.ExcelWriter"), 0),
    **dict.fromkeys(("cv2.imwrite", "imageio.imwrite", "imageio.v2.imwrite", "imageio.v3.imwrite"), 0),
    "scipy.io.savemat": 0,
    **dict.fromkeys(("skimage.io.imsave", "matplotlib.pyplot.imsave", "soundfile.write", "logging.FileHandler"), 0),
    **dict.fromkeys((".to_csv", ".to_parquet", ".to_json", ".to_excel", ".to_feather", ".to_pickle", ".to_hdf"), 0),
    **dict.fromkeys((".to_html", ".to_markdown", ".to_latex", ".to_stata", ".to_xml", ".to_file", ".to_netcdf"), 0),
    **dict.fromkeys((".to_zarr", ".to_disk", ".tofile", ".savefig", ".save", ".save_model", ".save_weights"), 0),
    **dict.fromkeys((".save_pretrained", ".dump_model", ".write_csv", ".write_parquet", ".write_json"), 0),
    **dict.fromkeys((".write_html", ".write_image", "matplotlib.pyplot.savefig", "os.makedirs", "os.mkdir"), 0),
    **dict.fromkeys(("os.remove", "os.unlink", "os.rmdir", "shutil.rmtree", "logging.basicConfig"), 0),
    **dict.fromkeys(("os.rename", "os.replace", "shutil.move"), 0),
    **dict.fromkeys(("tensorflow.keras.callbacks.ModelCheckpoint", "keras.callbacks.ModelCheckpoint"), 0),
    **dict.fromkeys(("tensorflow.keras.callbacks.CSVLogger", "keras.callbacks.CSVLogger"), 0),
    **dict.fromkeys(("torch.utils.tensorboard.SummaryWriter", "tensorflow.keras.callbacks.TensorBoard"), 0),
    "shutil.copy": 1, "shutil.copyfile": 1, "shutil.copytree": 1, "urllib.request.urlretrieve": 1,
}  # fmt: skip
SECOND_WRITERS = dict.fromkeys(("os.rename", "os.replace", "shutil.move"), 1)
# Methods of a Path, whose object names the file.
OF_PATHS = {
    **dict.fromkeys((".read_text", ".read_bytes", ".open", ".exists", ".is_file", ".is_dir", ".stat"), READ),
    **dict.fromkeys((".iterdir", ".glob", ".rglob"), READ),
    **dict.fromkeys((".write_text", ".write_bytes", ".mkdir", ".touch", ".unlink", ".rmdir", ".rename"), WRITE),
}
FOLDER_METHODS = {".iterdir", ".glob", ".rglob"}
OPENERS = {"open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", ".open", "h5py.File"}
MODED = OPENERS | {"zipfile.ZipFile", "tarfile.open"}
MAKES_FOLDERS = {"os.makedirs", "os.mkdir", ".mkdir"}
WANTS_TEXT = ("glob.", "cv2.", "xgboost.", "onnx", ".save_model", ".load_model")  # these take no Path
NO_FILES = ("read_sql", "read_gbq", "read_clipboard", "read_database")
KEYWORDS = {
    *("filepath_or_buffer", "path_or_buf", "path_or_buffer", "path", "io", "file", "fname", "filename", "fp", "name"),
    *("root", "directory", "pathname", "filepath", "excel_writer", "source", "log_dir", "f", "buf", "database", "url"),
}


class Use(NamedTuple):
    """An expression that names a file or a folder, and what is done with it."""

    path: ast.expr
    role: str
    called: str
    is_folder: bool = False
    handed_on: bool = False  # by a function of the notebook's own, which may expect a text

    @property
    def is_sure(self) -> bool:
        """Whether this is about a file for sure: a method of an unknown object may be about something else."""
        return not self.called.startswith(".") or self.called.startswith((".to_", ".savefig", ".save_"))

    @property
    def wants_text(self) -> bool:
        return self.called.startswith(WANTS_TEXT)

    @property
    def makes_folder(self) -> bool:
        return self.called in MAKES_FOLDERS


TABLES = (
    (READERS, READ, False),
    (FOLDER_READERS, READ, True),
    (WRITERS, WRITE, False),
    (SECOND_WRITERS, WRITE, False),
)


def uses_of(call: ast.Call, called: str, static: Static) -> list[Use]:
    """What a call reads and writes."""
    method = "." + called.rpartition(".")[2]
    found = []
    for table, role, is_folder in TABLES:
        position = table.get(called, table.get(family(called), table.get(method if called.startswith(".") else "")))
        path = None if position is None else argument(call, position)
        if path is not None:
            found.append(Use(path, mode_role(call, called, role, static), called, is_folder))
    if not found and called.startswith(".") and called in OF_PATHS and isinstance(call.func, ast.Attribute):
        role = mode_role(call, called, OF_PATHS[called], static)
        found.append(Use(call.func.value, role, called, called in FOLDER_METHODS))
        # Of a Path that is written out: a Series has a method of this name, too.
        made = call.func.value.func if isinstance(call.func.value, ast.Call) else None
        is_path = isinstance(made, (ast.Name, ast.Attribute)) and ast.unparse(made).endswith("Path")
        if called == ".rename" and is_path and call.args:
            found.append(Use(call.args[0], WRITE, called))
    return found


# These call their first argument with the others.
CALLERS = {"map", ".map", ".imap", ".submit", ".apply_async", "asyncio.to_thread", "functools.partial", ".starmap"}


def of_caller(call: ast.Call, called: str) -> ast.Call | None:
    """The call that another one makes, as in map(pd.read_csv, files)."""
    if called in CALLERS and len(call.args) > 1 and not isinstance(call.args[0], ast.Starred):
        return ast.Call(func=call.args[0], args=call.args[1:], keywords=call.keywords)
    return None


def family(called: str) -> str:
    """pandas.read_* for pandas.read_csv."""
    head, dot, name = called.rpartition(".")
    if name.startswith(("read_", "scan_")) and not name.startswith(NO_FILES):
        return f"{head}{dot}{name.split('_')[0]}_*"
    return called


def argument(call: ast.Call, position: int) -> ast.expr | None:
    if len(call.args) > position:
        given = call.args[position]
        return None if any(isinstance(arg, ast.Starred) for arg in call.args[: position + 1]) else given
    return next((keyword.value for keyword in call.keywords if keyword.arg in KEYWORDS), None)


def constant(node: ast.AST | None) -> str | None:
    """The text of a literal."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def mode_role(call: ast.Call, called: str, role: str, static: Static) -> str:
    """Whether a file is opened to be read or to be written."""
    if called not in MODED:
        return role
    position = 0 if called == ".open" else 1
    given = call.args[position] if len(call.args) > position else None
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "mode"), given)
    mode = (static(given) if given is not None else None) or "r"
    return WRITE if set(mode) & set("wax") else READ
