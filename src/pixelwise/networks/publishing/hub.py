"""The Hugging Face Hub: names, uploads, and what can go wrong, in one line each."""

from pathlib import Path

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils import validate_repo_id

from pixelwise.errors import InputError, in_one_line

LONGEST = 200


def check_name(name: str) -> None:
    """Raise an InputError for what is not OWNER/NAME."""
    try:
        validate_repo_id(name)
        good = name.count("/") == 1
    except errors.HFValidationError:
        good = False
    if not good:
        raise InputError(
            f"name={name!r}: must be OWNER/NAME of letters, digits, '-', '_' and '.'; e.g."
            " somebody/camvid-danet"
        )


def upload(folder: Path, name: str, *, private: bool = False) -> str:
    """Make the repository if need be, upload the folder, and give the address.

    Raises:
        InputError: Not logged in, no network, no right to write there.
    """
    api = huggingface_hub.HfApi()
    if huggingface_hub.get_token() is None:
        raise InputError(f"{name}: not logged in to the Hub; run `hf auth login`, or set HF_TOKEN")
    try:
        found = api.create_repo(name, private=private, exist_ok=True, repo_type="model")
        api.upload_folder(
            repo_id=name,
            folder_path=str(folder),
            commit_message="Upload with pixelwise",
            ignore_patterns=[".*"],
        )
    except Exception as error:  # the Hub's client raises many unrelated types
        raise told(name, error) from error
    return str(found)


def told(name: str, error: Exception) -> InputError:
    """The line for an error of the Hub's client."""
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", None)
    text = in_one_line(error, LONGEST)
    if isinstance(error, errors.GatedRepoError):
        rule = "its owner has to let you in; ask on its page, then run `hf auth login`"
    elif isinstance(error, errors.RepositoryNotFoundError):
        rule = "there is no such model, or it is private; check the name, or run `hf auth login`"
    elif isinstance(error, errors.OfflineModeIsEnabled):
        rule = "HF_HUB_OFFLINE is set, so nothing is fetched or sent; unset it"
    elif code == 401:
        rule = "the Hub does not take the token; run `hf auth login` again"
    elif code == 403:
        rule = "you may not write there; take an OWNER that you belong to, or a token that may"
    elif code is None and (isinstance(error, OSError) or _of_the_network(error)):
        rule = f"the Hub cannot be reached ({text}); try again, or give a folder"
    elif isinstance(error, errors.EntryNotFoundError):
        rule = f"holds no network of pixelwise ({text}); give one that `pixelwise push` published"
    else:
        rule = f"the Hub refused ({text}); try again"
    return InputError(f"{name}: {rule}")


def _of_the_network(error: Exception) -> bool:
    """Whether the library below the Hub's client raised it, whose name differs by version."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "requests")
