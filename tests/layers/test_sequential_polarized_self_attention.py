"""What the contract asks of psa_s; both forms are tested in test_polarized_self_attention.py."""

from test_parallel_polarized_self_attention import reconstruct

__all__ = ["reconstruct"]
