"""A Keras model from settings, from your own builder, or from a HyperModel."""
