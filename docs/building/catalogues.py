"""The Chinese catalogues of the pages: made from the sources, filled, and checked.

One catalogue for each page lies in `docs/locale/zh/LC_MESSAGES`, in the folders of the pages.
It holds every message of its page in order, without places and dates, so that a change of one
sentence is a change of two lines. There are no guesses and no leftovers: a message that changed
waits for its translation again.
"""

import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from building.assembly import assemble
from building.places import BUILD, DOCS, ROOT, SOURCE
from building.wording import Term, faults, glossary, needs_translation

FOLDER = DOCS / "locale" / "zh" / "LC_MESSAGES"
"""Where the catalogues lie."""
PROGRAM = ROOT / "src" / "pixelwise" / "locale" / "zh" / "LC_MESSAGES" / "pixelwise.po"
"""The catalogue of the command line, whose words the reference repeats."""
ENGLISH_ONLY = ("CHANGELOG", "changelog", "genindex", "search", "py-modindex", "sphinx")
"""Pages and templates that stay English."""
HEADER = """\
msgid ""
msgstr ""
"Project-Id-Version: pixelwise\\n"
"Language: zh_CN\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def read(path: Path) -> dict[str, str]:
    """The messages of a catalogue and their translations, in order; "" where there is none."""
    with path.open("rb") as file:
        return {str(entry.id): str(entry.string or "") for entry in read_po(file) if entry.id}


def write(path: Path, messages: Mapping[str, str]) -> None:
    """Write a catalogue, one line for each message and each translation."""
    catalogue = Catalog(locale="zh_CN")
    for message, translation in messages.items():
        catalogue.add(message, translation).flags.clear()  # a per cent sign is no format
    file = io.BytesIO()
    write_po(file, catalogue, width=0, no_location=True, omit_header=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(HEADER.encode() + file.getvalue().strip() + b"\n")


def pages(folder: Path = FOLDER) -> list[str]:
    """The pages that have a catalogue, e.g. "decisions/0001-fabric-loop"."""
    return sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.po")
    )


def extract(source: Path, out: Path) -> None:
    """Write the messages of all pages of a source folder as templates.

    Args:
        source: The assembled sources.
        out: Where the templates (`.pot`) are written, one for each page.
    """
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "gettext", "-D", "language=en"]
    command += ["-D", "gettext_compact=0", "-D", "gettext_uuid=0", "-D", "gettext_location=0"]
    command += ["-c", str(DOCS), "-d", str(BUILD / "doctrees" / "messages")]
    subprocess.run([*command, str(source), str(out)], check=True)


def templates_of(folder: Path) -> dict[str, Path]:
    """The templates below a folder by page, without those of pages that stay English."""
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.pot")
    }
    return {page: found[page] for page in sorted(found.keys() - set(ENGLISH_ONLY))}


def update(templates: Path, folder: Path = FOLDER) -> list[str]:
    """Bring the catalogues in step with the pages.

    A translation is kept where its message stayed, and taken from another page that has the same
    message. What no page has any longer is dropped.

    Args:
        templates: What `extract` wrote.
        folder: Where the catalogues lie.

    Returns:
        The pages whose catalogues changed.
    """
    before = {page: read(folder / f"{page}.po") for page in pages(folder)}
    known = {
        message: translation
        for catalogue in [*([read(PROGRAM)] if PROGRAM.exists() else []), *before.values()]
        for message, translation in catalogue.items()
        if translation and not faults(message, translation)
    }
    found = {}
    for page, path in templates_of(templates).items():
        old = before.get(page, {})
        found[page] = {text: old.get(text) or known.get(text, "") for text in read(path)}
    for page in before.keys() - found.keys():
        (folder / f"{page}.po").unlink()
    changed = [
        page
        for page, messages in found.items()
        if list(messages.items()) != list(before.get(page, {}).items())
    ]
    for page in changed:
        write(folder / f"{page}.po", found[page])
    return sorted(changed + list(before.keys() - found.keys()))


def renew() -> list[str]:
    """Assemble the sources and bring the catalogues in step with them; the pages that changed."""
    assemble(SOURCE, print)
    templates = BUILD / "templates"
    shutil.rmtree(templates, ignore_errors=True)
    extract(SOURCE, templates)
    return update(templates)


def install(target: Path) -> None:
    """Copy the catalogues to where Sphinx looks for them, touching only what has changed.

    Args:
        target: A folder of `locale_dirs`.
    """
    for page in pages():
        source, copy = FOLDER / f"{page}.po", target / "zh_CN" / "LC_MESSAGES" / f"{page}.po"
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def missing(page: str, folder: Path = FOLDER) -> list[str]:
    """The messages of a page that need a translation and have none, in order."""
    messages = read(folder / f"{page}.po")
    return [text for text, chinese in messages.items() if not chinese and needs_translation(text)]


def apply(page: str, translations: Mapping[str, str], folder: Path = FOLDER) -> list[str]:
    """Put translations into the catalogue of a page.

    Args:
        page: A page, e.g. "explain".
        translations: Chinese for messages, or for the short names that `name` gives them.
        folder: Where the catalogues lie.

    Returns:
        What was refused, one line each: unknown messages and translations with faults. The
        others are written.
    """
    messages = read(folder / f"{page}.po")
    texts = {name(text): text for text in messages} | {text: text for text in messages}
    refused = []
    for key, chinese in translations.items():
        text = texts.get(key)
        wrong = ["no message of this page"] if text is None else faults(text, chinese)
        if text is None or wrong:
            refused.append(f"{page}: {key}: {'; '.join(wrong)}")
        else:
            messages[text] = chinese
    write(folder / f"{page}.po", messages)
    return refused


def name(message: str) -> str:
    """A short name of a message, which stays as long as its text."""
    return hashlib.sha256(message.encode()).hexdigest()[:5]


def check(page: str, folder: Path = FOLDER) -> Iterator[str]:
    """What is wrong with the catalogue of a page, one line each.

    Args:
        page: A page, e.g. "explain".
        folder: Where the catalogues lie.

    Yields:
        Missing translations, translations with faults, and terms that miss the glossary.
    """
    terms: list[Term] = list(glossary())
    for text, chinese in read(folder / f"{page}.po").items():
        start = f"{page}: {name(text)} {text[:60]!r}"
        if not chinese:
            if needs_translation(text):
                yield f"{start}: no translation"
            continue
        yield from (f"{start}: {wrong}" for wrong in faults(text, chinese))
        for term in terms:
            if chinese != text and term.missed(text, chinese):
                yield f"{start}: {term.english} is not {' or '.join(term.chinese)}"
