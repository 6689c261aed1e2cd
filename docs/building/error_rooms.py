"""Headings of the errors page: which part of the source speaks about what."""

HEADINGS = {
    "data/points": "Data: keypoints",
    "data/annotations": "Data: files of label tools",
    "data/rasters": "Data: rasters and vector files",
    "data/augmenting": "Data: augmentation and balance",
    "data/published": "Data: published data sets",
    "data": "Data: pictures, masks and data.yaml",
    "doctor": "Checking data",
    "layers": "Layers",
    "ops": "Layers: operations",
    "naming": "Names of layers and networks",
    "networks/backbones": "Backbones",
    "networks/publishing": "Publishing and the Hub",
    "networks": "Networks and saved models",
    "tasks/keypoints": "Tasks: keypoints",
    "tasks": "Tasks",
    "losses": "Losses",
    "metrics": "Scores",
    "train": "Training and resuming",
    "evaluating": "Evaluation",
    "predict/rasters": "Prediction: rasters",
    "predict/videos": "Prediction: clips",
    "predict": "Prediction: pictures",
    "explanation": "Explanations",
    "insertion": "Inserting layers",
    "hosts": "Inserting layers: Ultralytics and Lightning",
    "interop": "Checkpoints of other code",
    "export": "Export, ONNX and torch.export",
    "compare": "Comparing layers",
    "probe": "Probing layers",
    "receptive": "Probing layers: receptive fields",
    "benchmarks": "Measuring time and memory",
    "cost": "Counting operations",
    "folding": "Folding and compiling",
    "merging": "Folding and compiling",
    "compiling": "Folding and compiling",
    "cluster": "Clusters",
    "serve": "The page to click",
    "pictures": "Pictures and reports",
    "report": "Pictures and reports",
    "demo": "The demo",
    "cli": "Commands and options",
    "checks": "Values of options",
    "errors": "Values of options",
    "settings": "Values of options",
    "devices": "Values of options",
    "kinds": "Values of options",
    "language": "Values of options",
    "yaml_files": "Settings files",
    "shortage": "Memory, files and folders",
    "outputs": "Memory, files and folders",
    "sharing": "Memory, files and folders",
    "image_files": "Memory, files and folders",
    "together": "Memory, files and folders",
    "notes": "Memory, files and folders",
    "release": "Memory, files and folders",
}
"""Beginning of a file's place in the source -> heading; the longest one that fits counts."""


def heading(place: str) -> str:
    """The heading for messages of a file.

    Args:
        place: of the file, below the package.

    Raises:
        KeyError: There is none; add it above.
    """
    parts = place.split("/")
    for length in range(len(parts), 0, -1):
        found = HEADINGS.get("/".join(parts[:length]))
        if found is not None:
            return found
    raise KeyError(place)
