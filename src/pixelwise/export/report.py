"""What is told of an export."""

from dataclasses import dataclass, field
from pathlib import Path

from pixelwise.export.metadata import About
from pixelwise.export.named import FORMATS
from pixelwise.export.onnx_file import INPUT
from pixelwise.export.proof import Row
from pixelwise.language import translate


@dataclass(frozen=True)
class Report:
    """What became of an export.

    Args:
        path: The file.
        about: What it says of itself.
        rows: What was compared; of safetensors nothing is, the weights are read again.
        files: What was written, the file first.
        operators: How often each occurs, of ONNX files.
    """

    path: Path
    about: About
    rows: list[Row]
    files: dict[str, int]
    operators: dict[str, int] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        """The largest difference, as a part of the range of the network's output."""
        return max((row.difference for row in self.rows), default=0.0)

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.files.items())
        lines = [translate("file       {listed}").format(listed=listed), *self._ends()]
        if self.operators:
            told = ", ".join(f"{name} {count}" for name, count in self.operators.items())
            lines.append(translate("operators  {told}").format(told=told))
        for row in self.rows:
            height, width = row.size
            size = f"{row.batch} x {height}x{width}"
            lines.append(
                translate("proof      {size:11} difference {difference:.1e} of the range").format(
                    size=size, difference=row.difference
                )
            )
        if not self.rows:
            lines.append(
                translate("proof      read again: every weight and the description are equal")
            )
        return "\n".join(lines)

    def _ends(self) -> list[str]:
        about, config = self.about, self.about.config
        if self.path.suffix == FORMATS["safetensors"]:
            return []
        values = translate("raw values, {scale:g} means 1").format(scale=config.scale)
        if not about.normalises:
            values = translate(
                "(raw / {scale:g} - mean) / std, with the mean and std of the metadata"
            ).format(scale=config.scale)
        size = translate("height, width") if about.size is None else "{}, {}".format(*about.size)
        return [
            translate("input      {input} (batch, {in_channels}, {size}) float32: {values}").format(
                input=INPUT, in_channels=config.in_channels, size=size, values=values
            ),
            translate("output     {output}").format(output=about.output),
        ]
