"""The demonstration of values: depth scenes, in which the ground tells how far a thing is."""

from pixelwise.tasks.demonstration import Demonstration

DEPTH_SCENES = Demonstration(
    data="depth-scenes",
    noun="scene",
    size=96,
    pictures={"train": 1000, "val": 40, "test": 100},
    title="What attention adds to depth",
    story=(
        "In these scenes far things are larger than near ones, so that the size of a thing does not"
        " tell its depth: only where it stands on the ground does, and where the horizon is."
    ),
    heading="error on test",
    main="MAE, m",
    main_name="mean error",
    unit="m",
    of="of the depth, on test",
    decides=("relative error, %",),
    decides_name="relative error",
    decides_of="percentage points, mean over the pixels",
    helped="With attention, the relative error is {gain:.1f} percentage points smaller.",
    not_helped=(
        "Attention did not help here: the relative error is {loss:.1f} percentage points larger."
    ),
    results="Errors",
    looking=(
        "Polarized self-attention has no map per pixel: it weighs all pixels once for the whole"
        " picture. Each map shows the gate that a layer puts on every pixel of the first scene. The"
        " bright parts are passed on with more strength."
    ),
    charts="Bias by depth",
    charts_text="Mean of prediction minus truth, by ranges of the true depth.",
    writes="depths as TIFF, and pictures of them",
)
