"""One door to every data set: a data.yaml, a folder, a classes.csv, or one that is drawn."""

from collections.abc import Mapping
from pathlib import Path

from pixelwise import yaml_files
from pixelwise.data.annotations.config import AnnotatedConfig
from pixelwise.data.annotations.discovery import describe_shapes
from pixelwise.data.annotations.folder import AnnotatedSource
from pixelwise.data.annotations.ultralytics import from_ultralytics
from pixelwise.data.class_table import load_class_table
from pixelwise.data.config import DataConfig
from pixelwise.data.depth_scenes import DepthScenes
from pixelwise.data.drawn import is_drawn
from pixelwise.data.folder import FolderSource
from pixelwise.data.labels_folder import FolderLabelsSource
from pixelwise.data.overlapping_scenes import OverlappingScenes
from pixelwise.data.points import FolderPoints, PointsConfig
from pixelwise.data.points.discovery import describe, is_class_table
from pixelwise.data.puppets import Puppets
from pixelwise.data.rasters.config import RastersConfig
from pixelwise.data.rasters.pictures import open_rasters
from pixelwise.data.scenes import Scenes
from pixelwise.data.source import Source
from pixelwise.data.values_folder import FolderValuesSource
from pixelwise.errors import InputError

DRAWN: Mapping[str, type[Scenes] | type[Puppets] | type[DepthScenes] | type[OverlappingScenes]] = {
    "scenes": Scenes,
    "puppets": Puppets,
    "depth-scenes": DepthScenes,
    "overlapping-scenes": OverlappingScenes,
}
"""Data sets without files."""


def open_data(spec: str | Path) -> Source:
    """Open a data set, of the kind that its data.yaml says.

    With `rasters:` it has rasters, with `annotations:` shapes of a label tool, with `overlapping:`
    several labels per pixel, with `labels:` or `points:` points, with `values:` numbers, else
    classes.

    Args:
        spec: A data.yaml or a folder that holds one; a classes.csv or a folder that holds one
            (the CamVid layout); a COCO file with segmentations, or a folder with one, or with
            labelme polygons; a file of labelled points, or a folder with one beside pictures,
            with labelme files, or with a DeepLabCut project; or "scenes", "puppets",
            "depth-scenes" or "overlapping-scenes", which are drawn, with options as
            "scenes:seed=1,size=128,train=400".

    Raises:
        InputError: There is no such data set, or its description or layout is wrong.
    """
    text = str(spec)
    if is_drawn(text):
        return DRAWN[text.partition(":")[0]].parse(text)
    path = Path(spec)
    if path.is_dir():
        inside = [path / name for name in ("data.yaml", "data.yml", "classes.csv")]
        found = [file for file in inside if file.is_file()]
        if not found:
            if (shapes := describe_shapes(path)) is not None:
                return AnnotatedSource(AnnotatedConfig.of(*shapes))
            described = describe(path)
            if described is None:
                raise InputError(
                    f"{path}: holds neither data.yaml nor classes.csv, nor labels of points beside"
                    " pictures; write a data.yaml"
                )
            return FolderPoints(PointsConfig.of(*described))
        path = found[0]
    if not path.is_file():
        raise InputError(
            f"data={text!r}: nothing there; give a data.yaml, a folder with one, or 'scenes'"
        )
    suffix = path.suffix.lower()
    if suffix == ".json" or (suffix == ".csv" and not is_class_table(path)):
        if (shapes := describe_shapes(path)) is not None:
            return AnnotatedSource(AnnotatedConfig.of(*shapes))
        described = describe(path)
        if described is not None:
            return FolderPoints(PointsConfig.of(*described))
    if suffix == ".csv":
        return FolderSource(load_class_table(path))
    if suffix in {".yaml", ".yml"}:
        content = yaml_files.read(path)
        if {"Task", "bodyparts"} <= content.keys():  # a DeepLabCut project is its folder
            return open_data(path.parent)
        if "rasters" in content:
            return open_rasters(RastersConfig.of(path, content))
        if "annotations" in content:
            return AnnotatedSource(AnnotatedConfig.of(path, content))
        if {"points", "labels"} & content.keys() and "overlapping" not in content:
            return FolderPoints(PointsConfig.of(path, content))
        if (of_yolo := from_ultralytics(path, content)) is not None:
            return AnnotatedSource(AnnotatedConfig.of(path, of_yolo))
        config = DataConfig.of(path, content)
        if config.overlapping is not None:
            return FolderLabelsSource(config)
        return FolderValuesSource(config) if config.quantities else FolderSource(config)
    raise InputError(
        f"{path}: does not describe a data set; give a data.yaml, a classes.csv, or labels of"
        " points as CSV or JSON"
    )
