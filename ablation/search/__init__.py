"""Search: keras-tuner proposes, the study's own executor and store run it, fresh seeds confirm it."""
