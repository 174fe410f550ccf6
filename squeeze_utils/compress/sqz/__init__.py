"""The container .sqz: forms of a tensor, entropy coders, the file."""
