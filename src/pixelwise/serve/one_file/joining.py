"""The page and all that belongs to it as one text of HTML, without a single request."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelwise.serve.one_file.runtime import licence, runtime_file, version

PAGE = Path(__file__).parents[1] / "page"
OWN = Path(__file__).parent / "page"
STYLE = '<link rel="stylesheet" href="style.css">'
SCRIPT = '<script type="module" src="main.js"></script>'
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) )", re.MULTILINE)
RUNTIME_EXPORT = re.compile(r"export\{([^}]*)\};?\s*(?://#[^\n]*\s*)?$")
GENERATOR = "pixelwise serve --out"


def joined(told: Mapping[str, Any], parts: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        told: What `onnx_source.js` must know, as JSON.
        parts: Name -> bytes that it unpacks.
    """
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    script = _inside(f"{_runtime()}\n{modules(OWN / 'one_file_main.js')}")
    parts = {"runtime": runtime_file("ort-wasm-simd-threaded.wasm"), **parts}
    data = [f'<script type="application/json" id="told">{_inside(json.dumps(told))}</script>']
    data += [
        f'<script type="application/octet-stream" id="part-{name}">{_packed(value)}</script>'
        for name, value in parts.items()
    ]
    head = "\n".join(
        [
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">',
            f'<meta name="generator" content="{GENERATOR}">',
            f"<!-- ONNX Runtime Web {version()}\n{licence()}-->",
            f"<style>{style}</style>",
        ]
    )
    body = "\n".join([*data, f'<script type="module">{script}</script>'])
    assert html.count(STYLE) == 1
    assert html.count(SCRIPT) == 1
    return html.replace(STYLE, head).replace(SCRIPT, body)


def modules(main: Path) -> str:
    """A module and those that it imports as one text; top-level names differ in all of them."""
    seen: set[Path] = set()
    ordered: list[str] = []

    def add(path: Path) -> None:
        if path in seen:
            return
        seen.add(path)
        text = path.read_text(encoding="utf-8")
        for name in IMPORT.findall(text):
            add(OWN / name if (OWN / name).exists() else PAGE / name)
        ordered.append(EXPORT.sub("", IMPORT.sub("", text)))

    add(main)
    return "\n".join(ordered)


def _runtime() -> str:
    """ONNX Runtime's module as one value, `ort`."""
    text = runtime_file("ort.wasm.bundle.min.mjs").decode()
    found = RUNTIME_EXPORT.search(text)
    assert found is not None
    names = dict(entry.split(" as ")[::-1] for entry in found[1].split(",") if " as " in entry)
    wanted = ", ".join(f"{name}: {names[name]}" for name in ("InferenceSession", "Tensor", "env"))
    return f"const ort = (() => {{\n{text[: found.start()]}\nreturn {{ {wanted} }};\n}})();"


def _inside(text: str) -> str:
    """A text that ends no element of HTML and begins no comment."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _packed(value: bytes) -> str:
    return base64.b64encode(gzip.compress(value, 9, mtime=0)).decode()


def _policy(style: str, script: str) -> str:
    """Nothing is loaded, and nothing runs but what stands in the file."""

    def hashed(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {hashed(script)} 'wasm-unsafe-eval'",
            f"style-src {hashed(style)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
