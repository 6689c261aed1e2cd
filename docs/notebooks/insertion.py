# %% [markdown]
# # Insert attention into a network that you have
#
# The output stays the same to the last bit until the layers are trained. This notebook shows it,
# trains a few steps, and saves and loads what was inserted. [Insert](../insert.md) has the rest.

# %%
import timm
import torch

import pixelwise as pw

torch.manual_seed(0)
host = timm.create_model("resnet18", pretrained=False, num_classes=4).eval()
images = torch.randn(2, 3, 64, 96)
with torch.no_grad():
    before = host(images)

# %% [markdown]
# ## Insert
#
# `layer3.*.bn2` are all modules that match; `psa_s` stands behind stage 4.

# %%
report = pw.insert(host, "layer3.*.bn2=eca, layer4=psa_s")
print(report)

# %%
with torch.no_grad():
    print("equal to the last bit:", torch.equal(host(images), before))

# %% [markdown]
# ## Train
#
# Each layer has a gain that starts at 0. In the first step only the gain moves, then the layer
# learns too. Here inserted layers learn ten times as fast as the rest.

# %%
optimizer = torch.optim.AdamW(report.parameter_groups(1e-3, inserted=10.0))
labels = torch.tensor([0, 3])
for step in range(5):
    loss = torch.nn.functional.cross_entropy(host.train()(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss:.3f}")
print(pw.verify(host))

# %% [markdown]
# ## Save and load
#
# The file holds the insertions and their places. Weights of the network are saved as always.

# %%
report.save("attention.safetensors")
torch.save(host.state_dict(), "whole.pth")

fresh = timm.create_model("resnet18", pretrained=False, num_classes=4)
pw.insert(fresh, "attention.safetensors")
fresh.load_state_dict(torch.load("whole.pth"))
with torch.no_grad():
    print("equal after loading:", torch.equal(fresh.eval()(images), host.eval()(images)))

# %% [markdown]
# ## Undo
#
# `remove` gives the original network back, with its keys.

# %%
report.remove()
print([key for key in host.state_dict() if "inserted" in key])
