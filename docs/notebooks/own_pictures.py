# %% [markdown]
# # Your own pictures, from files to masks
#
# This notebook writes a small data set, checks it, trains a network for half a minute and predicts.
# With pictures of your own, start at the second step. The commands are those of the
# [guide](../guides/own-pictures.md); `main([...])` is what `pixelwise ...` runs.

# %%
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms.functional import to_pil_image

import pixelwise as pw
from pixelwise.cli.main import main
from pixelwise.data.opening import open_data

# %% [markdown]
# ## Pictures and masks
#
# Each picture has a mask of the same name. A mask holds the number of a class in each pixel.

# %%
drawn = open_data("scenes:size=96,train=48,val=12,test=4")
for split in ("train", "val", "test"):
    for kind in ("images", "masks"):
        Path("my", split, kind).mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(drawn.split(split)):
        image, mask = sample.image.to(torch.uint8), sample.mask[None].to(torch.uint8)
        to_pil_image(image).save(f"my/{split}/images/{number:03}.png")
        to_pil_image(mask).save(f"my/{split}/masks/{number:03}.png")

Path("my/data.yaml").write_text("""\
train: train/images
val: val/images
test: test/images
names: [ground, building, road, tree, water, car, boat]
""")

# %% [markdown]
# ## Check
#
# Everything that is wrong with the files is named before time is spent on training.

# %%
assert main(["check-data", "my/data.yaml", "--quiet"]) == 0

# %% [markdown]
# ## Train
#
# 60 steps are far too few for good masks. They show what a run looks like.

# %%
words = ["--data", "my/data.yaml", "--steps", "60", "--validations", "1", "--workers", "0"]
assert main(["train", *words, "--device", "cpu", "--name", "first", "--quiet"]) == 0

# %% [markdown]
# ## Predict
#
# Each picture gets a mask with class numbers, and an overlay for people.

# %%
assert main(["predict", "runs/train/first", "my/test/images", "--out", "masks", "--quiet"]) == 0
Image.open("masks/000_overlay.png").resize((384, 384))

# %% [markdown]
# ## In Python
#
# A run is an ordinary module after `load`. Mean, standard deviation and class names are part of it.

# %%
model = pw.load("runs/train/first").eval()
with torch.no_grad():
    logits = model(torch.randn(1, 3, 70, 90))
print(tuple(logits.shape), model.config.names)
