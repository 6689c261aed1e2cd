# %% [markdown]
# # Where does this pixel look?
#
# A network with one attention layer is trained for a short time on drawn scenes, in which cars and
# boats look alike and only the place at the end of their way tells them apart. Then one pixel is
# asked. [Explain](../explain.md) describes all that is shown.

# %%
import torch
from IPython.display import Image

import pixelwise as pw
from pixelwise.cli.main import main
from pixelwise.data.opening import open_data
from pixelwise.explanation.page.drawing import draw_maps
from pixelwise.explanation.page.verdict import judge
from pixelwise.pictures import displayable
from pixelwise.predict.images import network_input

# %% [markdown]
# ## A short training

# %%
DATA = "scenes:seed=0,size=96,train=200,val=8,test=8"
words = ["--data", DATA, "--model", "fcn", "--backbone", "test_resnet", "--attention", "pam@4"]
words += ["--output-stride", "8", "--steps", "80", "--batch-size", "4", "--lr", "0.003"]
words += ["--validations", "1", "--workers", "0", "--device", "cpu", "--quiet"]
assert main(["train", *words, "--name", "look"]) == 0

# %% [markdown]
# ## Ask a pixel
#
# The forward pass keeps its fast form. The map of the one pixel is computed afterwards.

# %%
model = pw.load("runs/train/look").eval()
sample = open_data(DATA).split("test")[0]
image = network_input(model, sample.image[None].float())
with torch.no_grad():
    classes = model(image).argmax(1)[0]
found = pw.explain(model, image, at=(48, 48), picture=displayable(sample.image))
print("class at the pixel:", model.config.names[int(classes[48, 48])])

# %%
Image(draw_maps(found, found.maps), width=800)

# %% [markdown]
# ## Does the map show what matters?
#
# A bright place has a large weight; that alone proves nothing. The places with the largest weights
# are deleted from the image, and as many at random. "No better than chance" is a usual answer of
# a network that was trained for so short a time.

# %%
for deletion in found.deletions:
    print(f"{deletion.name}: {judge(deletion).sentence}")

# %% [markdown]
# ## A page for others
#
# One file, which works offline.

# %%
found.save("look.html")

# %% [markdown]
# ## Attention of a layer, without a network
#
# `maps` belongs to every layer. For attention between pixels, `at` names the pixel.

# %%
layer = pw.create_layer("pam", 32)
maps = layer.maps(torch.randn(1, 32, 12, 16), at=(6, 8))
print(tuple(maps.spatial.shape), f"sum of the weights {maps.spatial.sum():.3f}")
