"""What turns a picture into feature maps: timm's, residual ones, BiSeNetV2's."""
