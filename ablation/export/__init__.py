"""A run for other tools: CSV, Parquet, TensorBoard, MLflow."""

FORMATS = ("tensorboard", "mlflow", "parquet")
