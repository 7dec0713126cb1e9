"""The folder whose files the kind `download` hands out."""

from pathlib import Path

from domain.errors import MisconfiguredError


class DownloadFolder:
    """Finds files by their names below one folder, and no others.

    Args:
        folder: None where none is set.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, name: str) -> Path | None:
        """See `activities.ports.Downloadable`."""
        if self._folder is None:
            raise MisconfiguredError(
                "downloads_off", "DOWNLOADS_FOLDER is missing: the kind `download` needs it"
            )
        folder = self._folder.resolve()
        # A link may lead out of the folder: where it leads to is what counts.
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
