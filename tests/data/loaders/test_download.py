import pytest

from raygan.data.loaders.download import open_or_download
from raygan.errors import DataError


class Library:
    """A set that is there once it has been downloaded."""

    def __init__(self, there: bool) -> None:
        self.there, self.asked = there, []

    def __call__(self, download: bool) -> str:
        print("Using downloaded and verified file")
        self.asked.append(download)
        self.there = self.there or download
        if not self.there:
            raise RuntimeError("Dataset not found.\n  You can use download=True")
        return "the set"


@pytest.mark.parametrize(("there", "asked"), [(True, [False]), (False, [False, True])])
def test_a_download_is_the_last_resort_and_standard_output_stays_clean(tmp_path, capsys, there, asked):
    library = Library(there)
    assert open_or_download(library, tmp_path / "new", True, "mnist") == "the set"
    assert library.asked == asked
    assert capsys.readouterr().out == ""


def test_without_leave_to_download_nothing_is_made(tmp_path):
    library = Library(there=False)
    with pytest.raises(DataError, match=r"\(Dataset not found. You can use .*\); set data.download to true"):
        open_or_download(library, tmp_path / "new", False, "mnist")
    assert library.asked == [False]
    assert not (tmp_path / "new").exists()
