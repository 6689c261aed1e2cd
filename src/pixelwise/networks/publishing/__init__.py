"""A network on the Hugging Face Hub: its card, the folder that is uploaded, the upload."""
