"""The wheels that a kernel without network installs from: the harness's own, and what it needs."""

import shutil
import subprocess
import sys
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import harness
from harness.errors import UserError
from harness.files import replacing, temporary_for, to_write

PROJECT = "competition-harness"
IMAGE = ("torch", "torchvision")
"""What is left to Kaggle's image, with all that these need: too large to carry along."""
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(35, 16, -1)),
    *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"),
)
"""What installs on Kaggle's image: Ubuntu 22.04, whose C library is 2.35."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same code gives the same bytes, whenever it is packed."""


def own_wheel(folder: Path) -> Path:
    """The installed harness as a wheel (PyPA's binary distribution format 1.0), without building.

    So it is the code that runs here, also of an editable installation, and needs no network.
    """
    installed = distribution(PROJECT)
    name = f"{PROJECT.replace('-', '_')}-{installed.version}"
    root = Path(harness.__file__).parent
    files = {
        f"harness/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    information = f"{name}.dist-info"
    metadata = installed.read_text("METADATA") or ""
    files[f"{information}/METADATA"] = metadata.encode()
    files[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: harness\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{path},sha256={_sha256(data)},{len(data)}" for path, data in files.items()]
    listed = f"{information}/RECORD"
    files[listed] = "\n".join([*record, f"{listed},,", ""]).encode()
    wheel = folder / f"{name}-py3-none-any.whl"
    with replacing(wheel) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return wheel


def needed(packages: Iterable[str], image: Sequence[str] = IMAGE) -> list[str]:
    """What these packages need and the image lacks, as "name==version" of what is installed here.

    So the kernel runs the versions that the ensemble was made with.
    """
    wanted, given = closure(packages), closure(image)
    return sorted(f"{n}=={d.version}" for n, d in wanted.items() if n not in given and n != PROJECT)


def fetch_wheels(requirements: Sequence[str], folder: Path, python: str) -> None:
    """Have pip download the wheels that are not in the folder yet, for Kaggle's Linux machines.

    Wheels of anything else are removed, and damaged ones. What is downloaded gets its name once it
    is whole. A UserError with pip's message if one cannot be had.
    """
    from packaging.utils import parse_wheel_filename

    to_write(folder).mkdir(exist_ok=True)
    missing = set(requirements)
    for path in folder.glob("*.whl"):
        name, version, *_ = parse_wheel_filename(path.name)
        if f"{name}=={version}" in requirements and _is_whole(path):
            missing.discard(f"{name}=={version}")
        else:
            path.unlink()
    if not missing:
        return
    aside = temporary_for(folder)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(aside)]
    command += ["--python-version", python]
    command += [part for platform in PLATFORMS for part in ("--platform", platform)]
    try:
        done = subprocess.run(
            [*command, *sorted(missing)], capture_output=True, text=True, check=False
        )
        fetched = sorted(aside.glob("*.whl"))
        if done.returncode or not all(map(_is_whole, fetched)):
            said = (done.stderr.strip() or "it is damaged").splitlines()[-1]
            fix = "check the network and the room on the disk"
            raise UserError("kernel build", f"a wheel cannot be had ({said})", fix)
        for path in fetched:
            with replacing(folder / path.name) as temporary:
                path.replace(temporary)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_whole(wheel: Path) -> bool:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        return False


def closure(packages: Iterable[str]) -> dict[str, Distribution]:
    """The installed packages and all that they need, by normalised name; others are left out."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(package), "") for package in packages]
    while waiting:
        name, extra = one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for text in found[name].requires or ():
            needs = Requirement(text)
            if needs.marker is None or needs.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(needs.name), e) for e in ("", *needs.extras)]
    return found


def _sha256(data: bytes) -> str:
    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
