"""A run for other tools: CSV, Parquet, TensorBoard, MLflow."""
