"""What the contract asks of psa_p; both forms are tested in test_polarized_self_attention.py."""


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    row, column = at
    spatial = maps.spatial[:, :, row, column]
    return x[:, :, row, column] * (maps.channel + spatial)
