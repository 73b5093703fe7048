"""The literature of the methods that a study can use, and BibTeX of those that it did use."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FIELDS = ("author", "title", "journal", "booktitle", "volume", "number", "pages", "publisher", "institution",
           "year", "doi", "url", "note")  # fmt: skip


def _entry(kind: str, author: str, title: str, year: int, **fields: str) -> tuple[str, dict[str, str]]:
    return kind, {"author": author, "title": title, "year": str(year), **fields}


_ICML = "Proceedings of the International Conference on Machine Learning (ICML)"
_ICLR = "International Conference on Learning Representations (ICLR)"
_JMLR = "Journal of Machine Learning Research"
_NEURIPS = "Advances in Neural Information Processing Systems (NeurIPS)"

ENTRIES: dict[str, tuple[str, dict[str, str]]] = {
    # data
    "krizhevsky2009learning": _entry(
        "techreport", "Krizhevsky, Alex", "Learning Multiple Layers of Features from Tiny Images", 2009,
        institution="University of Toronto",
    ),
    "lecun1998gradient": _entry(
        "article", r"LeCun, Yann and Bottou, L{\'e}on and Bengio, Yoshua and Haffner, Patrick",
        "Gradient-Based Learning Applied to Document Recognition", 1998, journal="Proceedings of the IEEE",
        volume="86", number="11", pages="2278--2324",
    ),
    "xiao2017fashion": _entry(
        "misc", "Xiao, Han and Rasul, Kashif and Vollgraf, Roland",
        "{Fashion-MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017,
        note="arXiv:1708.07747",
    ),
    "alpaydin1998optical": _entry(
        "misc", "Alpaydin, Ethem and Kaynak, Cenk", "Optical Recognition of Handwritten Digits", 1998,
        note="UCI Machine Learning Repository", doi="10.24432/C50P49",
    ),
    "pedregosa2011scikit": _entry(
        "article", "Pedregosa, Fabian and Varoquaux, Ga{\\\"e}l and Gramfort, Alexandre and others",
        "Scikit-learn: Machine Learning in {P}ython", 2011, journal=_JMLR, volume="12", pages="2825--2830",
    ),
    # models and training
    "srivastava2014dropout": _entry(
        "article",
        "Srivastava, Nitish and Hinton, Geoffrey and Krizhevsky, Alex and Sutskever, Ilya and "
        "Salakhutdinov, Ruslan",
        "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, journal=_JMLR, volume="15",
        number="56", pages="1929--1958",
    ),
    "ioffe2015batch": _entry(
        "inproceedings", "Ioffe, Sergey and Szegedy, Christian",
        "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", 2015,
        booktitle=_ICML, pages="448--456",
    ),
    "kingma2015adam": _entry(
        "inproceedings", "Kingma, Diederik P. and Ba, Jimmy", "{Adam}: A Method for Stochastic Optimization",
        2015, booktitle=_ICLR,
    ),
    "loshchilov2019decoupled": _entry(
        "inproceedings", "Loshchilov, Ilya and Hutter, Frank", "Decoupled Weight Decay Regularization", 2019,
        booktitle=_ICLR,
    ),
    "dozat2016incorporating": _entry(
        "inproceedings", "Dozat, Timothy", "Incorporating {N}esterov Momentum into {Adam}", 2016,
        booktitle=f"{_ICLR}, Workshop Track",
    ),
    "robbins1951stochastic": _entry(
        "article", "Robbins, Herbert and Monro, Sutton", "A Stochastic Approximation Method", 1951,
        journal="The Annals of Mathematical Statistics", volume="22", number="3", pages="400--407",
    ),
    "sutskever2013importance": _entry(
        "inproceedings", "Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey",
        "On the Importance of Initialization and Momentum in Deep Learning", 2013, booktitle=_ICML,
        pages="1139--1147",
    ),
    "tieleman2012rmsprop": _entry(
        "misc", "Tieleman, Tijmen and Hinton, Geoffrey",
        "Lecture 6.5---{RMSProp}: Divide the Gradient by a Running Average of its Recent Magnitude", 2012,
        note="COURSERA: Neural Networks for Machine Learning",
    ),
    "duchi2011adaptive": _entry(
        "article", "Duchi, John and Hazan, Elad and Singer, Yoram",
        "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011, journal=_JMLR,
        volume="12", pages="2121--2159",
    ),
    "chen2023symbolic": _entry(
        "inproceedings", "Chen, Xiangning and Liang, Chen and Huang, Da and Real, Esteban and others",
        "Symbolic Discovery of Optimization Algorithms", 2023, booktitle=_NEURIPS,
    ),
    # comparisons
    "student1908probable": _entry(
        "article", "Student", "The Probable Error of a Mean", 1908, journal="Biometrika", volume="6",
        number="1", pages="1--25",
    ),
    "holm1979simple": _entry(
        "article", "Holm, Sture", "A Simple Sequentially Rejective Multiple Test Procedure", 1979,
        journal="Scandinavian Journal of Statistics", volume="6", number="2", pages="65--70",
    ),
    "schuirmann1987comparison": _entry(
        "article", "Schuirmann, Donald J.",
        "A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the "
        "Equivalence "
        "of Average Bioavailability", 1987,
        journal="Journal of Pharmacokinetics and Biopharmaceutics", volume="15", number="6", pages="657--680",
    ),
    "howe1974approximate": _entry(
        "article", "Howe, W. G.",
        "Approximate Confidence Limits on the Mean of {$X + Y$} Where {$X$} and {$Y$} Are Two Tabled "
        "Independent Random Variables", 1974,
        journal="Journal of the American Statistical Association", volume="69", number="347",
        pages="789--794",
    ),
    "obuchowski1995hypothesis": _entry(
        "article", "Obuchowski, Nancy A. and Rockette, Howard E.",
        "Hypothesis Testing of Diagnostic Accuracy for Multiple Readers and Multiple Tests: An {ANOVA} "
        "Approach "
        "with Dependent Observations", 1995,
        journal="Communications in Statistics---Simulation and Computation", volume="24", number="2",
        pages="285--308",
    ),
    "gallas2006one": _entry(
        "article", "Gallas, Brandon D.", "One-Shot Estimate of {MRMC} Variance: {AUC}", 2006,
        journal="Academic Radiology", volume="13", number="3", pages="353--362",
    ),
    "lai1976confidence": _entry(
        "article", "Lai, Tze Leung", "On Confidence Sequences", 1976, journal="The Annals of Statistics",
        volume="4", number="2", pages="265--280",
    ),
    "wang2025anytime": _entry(
        "article", "Wang, Hongjian and Ramdas, Aaditya",
        "Anytime-Valid t-Tests and Confidence Sequences for {G}aussian Means with Unknown Variance", 2025,
        journal="Sequential Analysis", volume="44", number="1", pages="56--110", note="arXiv:2310.03722",
    ),
    "box2005statistics": _entry(
        "book", "Box, George E. P. and Hunter, J. Stuart and Hunter, William G.",
        "Statistics for Experimenters: Design, Innovation, and Discovery", 2005, publisher="Wiley",
        note="Second edition",
    ),
    "pineau2021improving": _entry(
        "article",
        r"Pineau, Joelle and Vincent-Lamarre, Philippe and Sinha, Koustuv and Larivi{\`e}re, Vincent and "
        r"Beygelzimer, Alina and d'Alch{\'e}-Buc, Florence and Fox, Emily and Larochelle, Hugo",
        "Improving Reproducibility in Machine Learning Research (A Report from the {NeurIPS} 2019 "
        "Reproducibility Program)", 2021, journal=_JMLR, volume="22", number="164", pages="1--20",
    ),
    # software
    "chollet2015keras": _entry(
        "misc", r"Chollet, Fran{\c c}ois and others", "{Keras}", 2015, url="https://keras.io",
    ),
    "abadi2016tensorflow": _entry(
        "inproceedings", "Abadi, Mart{\\'\\i}n and Barham, Paul and Chen, Jianmin and others",
        "{TensorFlow}: A System for Large-Scale Machine Learning", 2016,
        booktitle="Proceedings of the USENIX Symposium on Operating Systems Design and Implementation (OSDI)",
        pages="265--283",
    ),
    "bradbury2018jax": _entry(
        "misc", "Bradbury, James and Frostig, Roy and Hawkins, Peter and Johnson, Matthew James and others",
        "{JAX}: Composable Transformations of {Python+NumPy} Programs", 2018,
        url="https://github.com/jax-ml/jax",
    ),
    "omalley2019kerastuner": _entry(
        "misc",
        "O'Malley, Tom and Bursztein, Elie and Long, James and Chollet, Fran{\\c c}ois and Jin, Haifeng and "
        "Invernizzi, Luca and others",
        "{KerasTuner}", 2019, url="https://github.com/keras-team/keras-tuner",
    ),
    "akiba2019optuna": _entry(
        "inproceedings",
        "Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, Masanori",
        "{Optuna}: A Next-Generation Hyperparameter Optimization Framework", 2019,
        booktitle="Proceedings of the ACM SIGKDD International Conference on Knowledge Discovery and Data "
        "Mining", pages="2623--2631",
    ),
    # tuning
    "bergstra2011algorithms": _entry(
        "inproceedings",
        r"Bergstra, James and Bardenet, R{\'e}mi and Bengio, Yoshua and K{\'e}gl, Bal{\'a}zs",
        "Algorithms for Hyper-Parameter Optimization", 2011, booktitle=_NEURIPS, volume="24",
        pages="2546--2554",
    ),
    "hansen2001completely": _entry(
        "article", "Hansen, Nikolaus and Ostermeier, Andreas",
        "Completely Derandomized Self-Adaptation in Evolution Strategies", 2001,
        journal="Evolutionary Computation", volume="9", number="2", pages="159--195",
    ),
}  # fmt: skip


def cited(texts: Iterable[str]) -> list[str]:
    """Return the keys that texts cite, each once, in alphabetical order."""
    groups = (group for text in texts for group in re.findall(r"\\cite\{([^}]*)\}", text))
    return sorted({key for group in groups for key in group.split(",")})


def bibliography(keys: Iterable[str]) -> str:
    """Return the entries of these keys as BibTeX."""
    return "\n".join(_bibtex(key) for key in keys)


def _bibtex(key: str) -> str:
    kind, fields = ENTRIES[key]
    shown = dict(fields)
    if "url" in shown:  # the plain styles of BibTeX know no field of that name
        shown["note"] = rf"\url{{{shown['url']}}}"
    lines = [f"  {name} = {{{shown[name]}}}," for name in _FIELDS if name in shown]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
