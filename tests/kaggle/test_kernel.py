"""Kernels: what is packed, and how it gets to Kaggle; test_kernel_rehearsal.py runs them."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import nbformat
import pytest
from contract_server import AFTER, BEFORE, USER
from contract_server import Kaggle as Server

import harness
from harness.errors import KaggleError, UserError
from harness.files import write_text
from harness.kaggle import wheels
from harness.kaggle.kernel import Kernel, notebook, read_kernel, write_metadata
from harness.kaggle.push import fetch_output, push_kernel, read_pushed, wait_until_ended
from harness.kaggle.seam import Kaggle

SCRIPT = Path(harness.__file__).parent / "kaggle/kernel_script.py"


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel as `build` leaves it, in small."""
    folder = tmp_path / "kernel"
    kernel = Kernel(
        folder / "code",
        folder / "data",
        "your-name/leaves-harness",
        "your-name/leaves-harness-data",
    )
    code = notebook('"""Predict."""\nprint("your-name/leaves-harness-data")\n')
    write_text(kernel.code / "notebook.ipynb", json.dumps(code))
    write_metadata(kernel, "leaves", gpu=False)
    for name in ("workspace.zip", "a-1-py3-none-any.whl", "b-2-py3-none-any.whl"):
        (kernel.data / name).write_bytes(name.encode() * 1000)
    return kernel


def push(kaggle: Kaggle, kernel: Kernel) -> tuple[Kernel, int, bool]:
    owned, pushed, made = push_kernel(kaggle, kernel, lambda _: None, lambda _: None)
    return owned, pushed.version, made


def test_our_own_wheel_is_a_wheel(tmp_path: Path) -> None:
    wheel = wheels.own_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (record,) = [name for name in names if name.endswith(".dist-info/RECORD")]
        for line in archive.read(record).decode().splitlines():
            name, digest, size = line.rsplit(",", 2)
            if digest:
                content = archive.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
                assert (digest, size) == (f"sha256={found.rstrip('=')}", str(len(content)))
        metadata = archive.read(record.replace("RECORD", "METADATA")).decode()
    assert "harness/kaggle/kernel_script.py" in names
    assert not [name for name in names if "__pycache__" in name]
    assert metadata.startswith("Metadata-Version:")
    assert "Name: competition-harness" in metadata
    before = wheel.read_bytes()
    assert wheels.own_wheel(tmp_path).read_bytes() == before


def test_what_the_image_has_is_not_packed() -> None:
    needed = wheels.needed([wheels.PROJECT])
    names = {requirement.partition("==")[0] for requirement in needed}
    assert {"timm", "safetensors", "pydantic", "rich", "typer"} <= names
    assert not {"torch", "torchvision", "numpy", wheels.PROJECT} & names
    assert wheels.needed(["timm"], image=["timm"]) == []


def test_wheels_that_are_there_are_not_fetched_and_others_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("six-1.17.0-py2.py3-none-any.whl", "old-1-py3-none-any.whl"):
        zipfile.ZipFile(tmp_path / name, "w").close()
    wheels.fetch_wheels(["six==1.17.0"], tmp_path, "3.12")
    assert [path.name for path in tmp_path.iterdir()] == ["six-1.17.0-py2.py3-none-any.whl"]
    with pytest.raises(UserError, match=r"a wheel cannot be had .*no-such-thing==1"):
        wheels.fetch_wheels(["no-such-thing==1"], tmp_path, "3.12")


def test_the_notebook_is_valid_and_holds_the_script() -> None:
    found = notebook(SCRIPT.read_text(encoding="utf-8"))
    nbformat.validate(found)
    about, code = found["cells"]
    assert about["source"].startswith("Predict the competition's test images on Kaggle")
    compile(code["source"], "notebook", "exec")
    assert code["source"].rstrip().endswith("main()")


def test_the_metadata_write_every_switch_out(kernel: Kernel) -> None:
    metadata = json.loads((kernel.code / "kernel-metadata.json").read_text(encoding="utf-8"))
    assert metadata["enable_internet"] is False
    assert (metadata["enable_gpu"], metadata["enable_tpu"]) == (False, False)
    assert metadata["is_private"] is True
    assert read_kernel(kernel.code.parent) == kernel


def test_a_push_is_complete_and_made_once(server: Server, kaggle: Kaggle, kernel: Kernel) -> None:
    owned, version, made = push(kaggle, kernel)
    assert (owned.name, version, made) == (f"{USER}/leaves-harness", 1, True)
    (request,) = server.kernels[owned.name]
    assert request["enableInternet"] is False  # left out, it would count as true
    assert request["datasetDataSources"] == [f"{USER}/leaves-harness-data"]
    assert f"{USER}/leaves-harness-data" in request["text"]
    (tokens,) = server.datasets[owned.dataset]
    there = {token.split(":")[1]: server.blobs[token] for token in tokens}
    assert there == {p.name: p.read_bytes() for p in kernel.data.iterdir() if p.suffix != ".json"}
    assert push(kaggle, read_kernel(kernel.code.parent)) == (owned, 1, False)
    (kernel.data / "a-1-py3-none-any.whl").write_bytes(b"changed")
    assert push(kaggle, owned)[1:] == (2, True)
    assert len(server.datasets[owned.dataset]) == 2


@pytest.mark.parametrize("step", ["StartBlobUpload", "PUT", "GetDatasetStatus", "ListDatasetFiles"])
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_faults_lose_no_file_of_the_data_set(
    fault: str, step: str, server: Server, kaggle: Kaggle, kernel: Kernel
) -> None:
    server.faults[step] = [fault, fault]
    if fault == "401":
        with pytest.raises(KaggleError):
            push(kaggle, kernel)
        server.faults.clear()
    owned, version, _ = push(kaggle, read_kernel(kernel.code.parent))
    assert version == 1
    assert [len(tokens) for tokens in server.datasets[owned.dataset]] == [3]


def test_an_upload_that_was_cut_off_goes_on(server: Server, kaggle: Kaggle, kernel: Kernel) -> None:
    content = bytes(range(256)) * 10_000
    (kernel.data / "workspace.zip").write_bytes(content)
    server.faults["PUT"] = ["reset during", "500"]
    owned, *_ = push(kaggle, kernel)
    assert server.sent_from[:2] == [0, len(content) // 2]
    archive = server.datasets[owned.dataset][0][0]
    assert server.blobs[archive] == content


@pytest.mark.parametrize("fault", AFTER)
def test_a_data_set_whose_answer_was_lost_is_not_made_twice(
    fault: str, server: Server, kaggle: Kaggle, kernel: Kernel
) -> None:
    server.faults["CreateDataset"] = [fault]
    owned, version, _ = push(kaggle, kernel)
    assert version == 1
    assert len(server.datasets[owned.dataset]) == 1


def test_a_file_that_kaggle_dropped_is_noticed(
    server: Server, kaggle: Kaggle, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = server.CreateDataset
    monkeypatch.setattr(
        server, "CreateDataset", lambda request: real(request | {"files": request["files"][1:]})
    )
    with pytest.raises(KaggleError, match="lacks files"):
        push(kaggle, kernel)
    assert server.kernels == {}


def test_a_run_is_waited_for(server: Server, kaggle: Kaggle, pauses: list[float]) -> None:
    server.kernel_runs = [
        {"status": "QUEUED"},
        {"status": "RUNNING"},
        {"status": "ERROR", "failureMessage": "out of memory"},
    ]
    server.faults["GetKernelSessionStatus"] = ["500"]
    run = wait_until_ended(kaggle, "ann/leaves-harness", pauses.append)
    assert (run.status, run.error) == ("error", "out of memory")


def test_the_output_comes_whole_and_stays_in_its_folder(
    server: Server, kaggle: Kaggle, tmp_path: Path
) -> None:
    server.kernel_output = {"submission.csv": b"id,label\n" * 50_000, "sub/x.txt": b"x"}
    server.kernel_log = "done"
    server.faults["GET"] = ["reset during", "500"]
    written = fetch_output(kaggle, "ann/leaves-harness", tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "submission.csv",
        "sub/x.txt",
        "leaves-harness.log",
    ]
    assert written[0].read_bytes() == server.kernel_output["submission.csv"]
    server.kernel_output = {"../x": b""}
    with pytest.raises(KaggleError, match="unsafe name"):
        fetch_output(kaggle, "ann/leaves-harness", tmp_path)


def test_nothing_pushed_is_nothing(tmp_path: Path) -> None:
    assert read_pushed(tmp_path) is None
    (tmp_path / "pushed.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="is damaged"):
        read_pushed(tmp_path)
