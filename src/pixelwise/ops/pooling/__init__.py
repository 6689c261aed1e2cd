"""Pool the pixels of an image by a softmax over them, and by their mean."""

from pixelwise.ops.pooling.dispatch import Pooled as Pooled
from pixelwise.ops.pooling.dispatch import attention_and_mean_pool as attention_and_mean_pool
from pixelwise.ops.pooling.dispatch import attention_pool as attention_pool
from pixelwise.ops.pooling.plain import pixel_weights as pixel_weights
