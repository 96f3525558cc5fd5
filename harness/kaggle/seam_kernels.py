"""The seam's other half: kernels, and the data sets that come with them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import KaggleError
from harness.kaggle.seam import Kaggle, KernelRun, RemoteFile, filled, told


class Kernels:
    """Calls on kernels and data sets, both named owner/slug."""

    def __init__(self, kaggle: Kaggle) -> None:
        self.kaggle = kaggle

    def dataset_state(self, name: str) -> str | None:
        """Kaggle's word for the data set's latest version, such as "ready"; None: there is none."""
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetStatusRequest

        owner, _, slug = name.partition("/")
        request = filled(ApiGetDatasetStatusRequest(), owner_slug=owner, dataset_slug=slug)
        call = self.kaggle.client.datasets.dataset_api_client.get_dataset_status
        try:
            answer = self.kaggle.wire.read("the data set", lambda: call(request))
        except KaggleError as error:
            if "HTTP 404" in error.found or "HTTP 403" in error.found:
                return None
            raise
        return str(answer.status.name.lower())

    def dataset_files(self, name: str) -> Iterator[RemoteFile]:
        """The files of the data set's latest version."""
        from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetFilesRequest

        owner, _, slug = name.partition("/")
        call = self.kaggle.client.datasets.dataset_api_client.list_dataset_files
        for page in self.kaggle.pages(
            "the data set's files",
            call,
            ApiListDatasetFilesRequest,
            owner_slug=owner,
            dataset_slug=slug,
        ):
            yield from (RemoteFile(one.name, one.total_bytes) for one in page.dataset_files or ())

    def upload(self, path: Path) -> str:
        """Store a file for a data set; its token."""
        from kagglesdk.blobs.types.blob_api_service import ApiBlobType, ApiStartBlobUploadRequest

        state = path.stat()
        request = filled(
            ApiStartBlobUploadRequest(),
            type=ApiBlobType.DATASET,
            name=path.name,
            content_length=state.st_size,
            last_modified_epoch_seconds=int(state.st_mtime),
        )
        call = self.kaggle.client.blobs.blob_api_client.start_blob_upload
        what = f"the upload of {path.name}"
        place = self.kaggle.wire.read(what, lambda: told(call(request), "token", "create_url"))
        self.kaggle.wire.put(what, place.create_url, path, resume=True)
        return str(place.token)

    def save_dataset(self, name: str, title: str, tokens: Sequence[str], *, exists: bool) -> None:
        """Make the private data set, or its next version, of stored files."""
        from kagglesdk.datasets.types.dataset_api_service import (
            ApiCreateDatasetRequest,
            ApiCreateDatasetVersionRequest,
            ApiCreateDatasetVersionRequestBody,
            ApiDatasetNewFile,
        )

        owner, _, slug = name.partition("/")
        files = [filled(ApiDatasetNewFile(), token=token) for token in tokens]
        client = self.kaggle.client.datasets.dataset_api_client
        request: Any
        if exists:
            body = filled(
                ApiCreateDatasetVersionRequestBody(), version_notes="harness", files=files
            )
            request = filled(
                ApiCreateDatasetVersionRequest(), owner_slug=owner, dataset_slug=slug, body=body
            )
            call = client.create_dataset_version
        else:
            request = filled(
                ApiCreateDatasetRequest(),
                owner_slug=owner,
                slug=slug,
                title=title,
                license_name="other",
                is_private=True,
                files=files,
            )
            call = client.create_dataset
        answer = self.kaggle.wire.act("the data set", lambda: call(request))
        if answer.error or answer.status.lower() != "ok":
            raise KaggleError("kaggle", f"the data set: {answer.error or answer.status}", "mend it")

    def save(self, metadata: dict[str, Any], source: str) -> int:
        """Push a kernel, whose run begins at once; its version number."""
        from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest

        request = filled(
            ApiSaveKernelRequest(),
            slug=metadata["id"],
            new_title=metadata["title"],
            text=source,
            language=metadata["language"],
            kernel_type=metadata["kernel_type"],
            is_private=metadata["is_private"],
            enable_gpu=metadata["enable_gpu"],
            enable_tpu=metadata["enable_tpu"],
            enable_internet=metadata["enable_internet"],
            dataset_data_sources=metadata["dataset_sources"],
            competition_data_sources=metadata["competition_sources"],
            kernel_data_sources=metadata["kernel_sources"],
            model_data_sources=metadata["model_sources"],
        )
        call = self.kaggle.client.kernels.kernels_api_client.save_kernel
        answer = self.kaggle.wire.act("the kernel", lambda: call(request))
        invalid = [*answer.invalid_dataset_sources, *answer.invalid_competition_sources]
        if answer.error or invalid or not answer.version_number:
            said = answer.error or f"does not know {', '.join(invalid)}"
            raise KaggleError("kaggle", f"the kernel: {said}", "mend it, then push again")
        return int(answer.version_number)

    def run(self, name: str) -> KernelRun:
        """How the kernel's latest version is doing; Kaggle tells of no other."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

        owner, _, slug = name.partition("/")
        request = filled(ApiGetKernelSessionStatusRequest(), user_name=owner, kernel_slug=slug)
        call = self.kaggle.client.kernels.kernels_api_client.get_kernel_session_status
        answer = self.kaggle.wire.read("the kernel's status", lambda: call(request))
        return KernelRun(answer.status.name.lower(), answer.failure_message or "")

    def output(self, name: str) -> tuple[list[tuple[str, str]], str]:
        """((file name, address), …) of what the latest version wrote, and its log."""
        from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

        owner, _, slug = name.partition("/")
        call = self.kaggle.client.kernels.kernels_api_client.list_kernel_session_output
        files, log = [], ""
        for page in self.kaggle.pages(
            "the kernel's output",
            call,
            ApiListKernelSessionOutputRequest,
            user_name=owner,
            kernel_slug=slug,
        ):
            files += [(one.file_name, one.url) for one in page.files or ()]
            log = log or page.log or ""
        return files, log
