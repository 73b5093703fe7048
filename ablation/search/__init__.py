"""Search: keras-tuner or Optuna proposes, the study's executor and store run it, fresh seeds confirm it."""
