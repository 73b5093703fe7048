"""A run for other tools: CSV, Parquet, TensorBoard, MLflow, W&B, Aim, DVC."""

FORMATS = ("tensorboard", "mlflow", "wandb", "aim", "dvc", "parquet")
