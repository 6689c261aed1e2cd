"""What the contract asks of psa_s; both forms are tested in test_polarized_self_attention.py."""


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    row, column = at
    return x[:, :, row, column] * maps.channel * maps.spatial[:, :, row, column]
