"""What turns a picture into feature maps: timm's, and those that are made here."""
