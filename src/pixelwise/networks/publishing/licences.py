"""Licences as the Hub names them."""

from pixelwise.errors import InputError, suggestion

LICENCES = (
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "afl-3.0",
    "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "cc", "cc0-1.0", "cc-by-2.0",
    "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0",
    "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "ecl-2.0", "epl-2.0", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl",
    "lgpl-2.1", "lgpl-3.0", "isc", "mpl-2.0", "ms-pl", "ncsa", "odc-by", "odbl", "osl-3.0",
    "unlicense", "wtfpl", "zlib", "other",
)  # fmt: skip


def check_licence(name: str | None) -> None:
    """Raise an InputError for a name that the Hub does not know; none at all is fine."""
    if name is not None and name not in LICENCES:
        raise InputError(
            f"license={name!r}: the Hub has no licence of that name;"
            f" {suggestion(name, LICENCES)} Or write other"
        )
