"""The channels beside mail, as staff set them up."""
