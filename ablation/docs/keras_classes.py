"""The classes of Keras that an editor offers by name; which of them exist, the installed Keras decides.

``pytest -m slow tests/grid/test_grid_schema.py`` compares these lists with the Keras that is installed.
"""

from __future__ import annotations

KERAS = "3.15"  # the version that the lists are of

CLASSES: dict[str, list[str]] = {
    "optimizer": """
        Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD
        ScheduleFreeAdamW
    """.split(),
    "learning_rate": """
        CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay
        PolynomialDecay
    """.split(),
    "loss": """
        BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy
        CategoricalHinge CosineSimilarity Dice Hinge Huber KLDivergence LogCosh MeanAbsoluteError
        MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
        SparseCategoricalCrossentropy SquaredHinge Tversky
    """.split(),
    "metrics": """
        AUC BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
        CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives
        FalsePositives Hinge KLDivergence LogCoshError MeanAbsoluteError MeanMetricWrapper MeanSquaredError
        MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision
        PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity
        SpecificityAtSensitivity SquaredHinge TopKCategoricalAccuracy TrueNegatives TruePositives
    """.split(),
    "callbacks": """
        BackupAndRestore CSVLogger EarlyStopping History LambdaCallback LearningRateScheduler
        ModelCheckpoint OrbaxCheckpoint ReduceLROnPlateau RemoteMonitor SwapEMAWeights
    """.split(),
    "augmentation": """
        AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization GaussianDropout
        GaussianNoise RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
        RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue
        RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness
        RandomShear RandomTranslation RandomZoom Solarization
    """.split(),
}

# What Keras understands beside the names of its classes.
SHORT_NAMES: dict[str, list[str]] = {
    "loss": "bce kld mae mape mse msle".split(),
    "metrics": "bce mae mse msle".split(),
}
