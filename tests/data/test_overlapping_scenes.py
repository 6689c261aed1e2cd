"""Scenes with whole things as labels."""

import torch

from pixelwise.data.opening import open_data

SPEC = ":seed=3,size=64,train=6,val=2"


def test_visible_parts_lie_within_whole_things_and_pictures_are_those_of_scenes():
    whole = open_data("overlapping-scenes" + SPEC)
    scenes = open_data("scenes" + SPEC)
    assert whole.kind == "labels"
    hidden = 0
    for ours, theirs in zip(whole.split("train"), scenes.split("train"), strict=False):
        assert torch.equal(ours.image, theirs.image)
        for label in range(1, 7):
            visible = theirs.mask == label
            assert not (visible & (ours.mask[label - 1] != 1)).any()
            hidden += int(((ours.mask[label - 1] == 1) & ~visible).sum())
    assert hidden > 500


def test_labels_overlap_and_shadows_are_some():
    source = open_data("overlapping-scenes" + SPEC)
    found = source.split("train").check()
    assert found.overlapping > 0.03 * found.read.pixels
    assert all(found.counts)
    assert source.classes.names[-1] == "shadow"
