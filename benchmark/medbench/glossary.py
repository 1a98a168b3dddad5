"""The words of tables and pages, each with its meaning in one or two sentences; the glossary is made of them.

A text that uses a word of these means exactly this. A page links a word to its entry, ``glossary.html#ANCHOR``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """One word.

    Attributes:
        name: As it stands in tables and sentences.
        meaning: One or two sentences, for a student of medical imaging.
        also: Other words for it that papers use.
    """

    name: str
    meaning: str
    also: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Name of its place on the glossary page."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())


_TERMS = (
    Term(
        "method",
        "What is done to the training images or to how they are drawn: a data augmentation, or a way to balance "
        "classes. Test images are never changed.",
        ("augmenter", "arm"),
    ),
    Term(
        "method above it",
        "The method that a method is compared with: the same training without the one ingredient in question. It "
        "stands above it in the tree.",
        ("control", "comparator"),
    ),
    Term("reference", "A method at the top of the tree, which is not compared with another one."),
    Term(
        "no augmentation",
        "Training on the images as they are, classes drawn as often as they occur. Shown beside the tree, since no "
        "method is compared with it.",
    ),
    Term(
        "copied images",
        "Real training images, repeated as often as a generator would add images. A generator has to beat them, "
        "since more images of a class change training even if they show nothing new.",
        ("placebo", "floor"),
    ),
    Term(
        "equal tuning",
        "Every method has the same number of tries (--tries) on an inner split by patient of its training part; the "
        "best configuration is trained on all of it and tested once. Test images choose nothing.",
        ("tuned equally", "hyperparameter search"),
    ),
    Term("generated images", "Images that a generator made, such as a GAN or a diffusion model.", ("fakes",)),
    Term(
        "synthetic samples",
        "Whatever a method adds to the real training images: generated images, generated features, or copies.",
    ),
    Term(
        "synthetic test images",
        "Images that medbench draws itself, to try things out without a download. A result on them says nothing "
        "about patients.",
        ("phantom",),
    ),
    Term(
        "balanced accuracy",
        "The mean over the classes of the share of their patients that is classified correctly, in percent. Guessing "
        "gives 100 divided by the number of classes.",
        ("mean recall", "UAR"),
    ),
    Term(
        "AUROC",
        "Area under the ROC curve: the probability that a random patient of a class gets a higher predicted "
        "probability for it than a random patient of another; mean over the classes. It does not depend on the "
        "decision threshold. Guessing gives .5.",
        ("AUC", "c-statistic"),
    ),
    Term("AUPRC", "Area under the precision-recall curve, mean over the classes. Guessing gives the class's share."),
    Term("macro-F1", "The harmonic mean of precision and recall of each class, averaged over the classes."),
    Term(
        "recall",
        "Of a class: the share of its patients that is classified correctly. Of generated images: the share of real "
        "images that generated ones reach.",
    ),
    Term(
        "precision",
        "Of a class: the share of the patients predicted to be of it that are. Of generated images: the share that "
        "lies as near to real images as real ones lie to each other.",
    ),
    Term("sensitivity", "The recall of the positive class: the share of the diseased that is found.", ("recall",)),
    Term("specificity", "The recall of the negative class: the share of those without the disease called so."),
    Term(
        "predictive value",
        "The precision of a class of two: the share of the patients called positive (or negative) that are. It depends "
        "on how frequent the disease is.",
        ("PPV", "NPV", "precision"),
    ),
    Term(
        "confusion matrix",
        "A table of actual against predicted classes: the diagonal is correct.",
        ("contingency table",),
    ),
    Term("MCC", "Matthews correlation coefficient: 1 is perfect, 0 is guessing."),
    Term("Brier score", "The mean squared error of the predicted probabilities; lower is better, 0 is perfect."),
    Term(
        "calibration slope",
        "1 where predicted probabilities are as extreme as they should be; below 1 where the network is too sure.",
    ),
    Term(
        "calibration error",
        "How far the probability of the decided class, divided by the training frequencies, is on average from how "
        "often it is right, in 15 groups of equal size; 0 is perfect. Few patients give an error by themselves.",
        ("ECE",),
    ),
    Term(
        "decision threshold",
        "The predicted probability from which a patient is called positive. A method that only moves it changes "
        "accuracy, and AUROC stays as it is.",
    ),
    Term(
        "fair threshold",
        "A decision threshold learnt, alike for every method, on patients that were watched in training and are not "
        "among those tested. What a method gains there is not a threshold that it happened to move.",
    ),
    Term(
        "gain",
        "Balanced accuracy of a method minus that of the method above it, in percentage points, on the same patients, "
        "splits and seeds.",
        ("effect", "improvement"),
    ),
    Term(
        "95 % CI",
        "In 95 of 100 such studies all intervals of a table hold their true gains. They count how patients vary and "
        "how trainings vary, and take the place of p values.",
        ("confidence interval",),
    ),
    Term(
        "simultaneous",
        "Adjusted for the number of comparisons (max-t), so that the chance that any interval of the table misses is "
        "5 %.",
        ("family-wise", "multiplicity-adjusted"),
    ),
    Term("verdict", "One word for a comparison, read off its interval by a fixed rule."),
    Term("better", "The whole interval lies above 0; a sentence says so where the gain in AUROC may be none."),
    Term(
        "only the decision threshold moved",
        "The whole interval lies above 0, but that of the gain in AUROC rules out a relevant one: a change of the "
        "decision threshold would have done the same.",
    ),
    Term(
        "no relevant difference",
        "The whole interval lies within the margin that the study called relevant, on both sides of 0.",
        ("equivalent",),
    ),
    Term("inconclusive", "The interval holds both a relevant gain and none: it takes more patients to tell."),
    Term("worse", "The whole interval lies below 0."),
    Term(
        "relevant difference",
        "The smallest gain that matters to the user, in points of balanced accuracy; fixed before the run (2 by "
        "default).",
        ("margin", "minimal important difference"),
    ),
    Term(
        "practice run",
        "A run too small for a verdict, to see that everything works: a verdict needs 5-fold cross-validation "
        "repeated 3 times, or 3 repeats of an official split.",
        ("rehearsal",),
    ),
    Term(
        "detectable gain",
        "The smallest true gain that a design finds with a probability of 80 % (its power).",
        ("minimal detectable effect",),
    ),
    Term(
        "training run",
        "One training of one network: a method, a classifier, a fold, a repeat and a seed. Further trainings of a "
        "reference are counted too; generators are not among them.",
    ),
    Term(
        "cross-validation",
        "Patients are divided into equal parts; networks are trained on all parts but one and tested on that one, "
        "until every patient was tested once.",
    ),
    Term(
        "validation loss",
        "The error of a network on some of the training patients that it was not trained on. Where it rises while the "
        "training loss falls, the network learns its training images by heart.",
    ),
    Term("training loss", "The error of a network on the images that it is trained on."),
    Term("protocol", "The rule that says who is trained on and who is tested."),
    Term("fold", "One of the parts of a cross-validation. Each part is tested once by networks trained on the others."),
    Term("repeat", "One cross-validation with its own random split. Further repeats average out the luck of a split."),
    Term("seed", "The number that starts all random draws of a training run; the same seed gives the same result."),
    Term(
        "split by patient",
        "All images of a patient, and images that are near copies of each other, are kept together in every split: no "
        "patient is in training and test.",
        ("grouped split",),
    ),
    Term("official split", "The training and test part that the authors of a data set released."),
    Term("external test", "Training on one data set and testing all images of another, as of another hospital."),
    Term(
        "corruption",
        "A change of test images as worse equipment or care makes it: noise, blur, other contrast. The classifier is "
        "trained on images as they are.",
    ),
    Term("severity", "How strong a corruption is, from 1 to 5. A table shows the mean over all five."),
    Term(
        "leaky",
        "A protocol in which information of test patients reaches training, as in many publications. It is run on "
        "purpose, to measure how much it adds, and gets no verdict.",
        ("data leakage",),
    ),
    Term("inflation", "How much of a published gain comes from the leaks of its protocol."),
    Term("shortcut", "Something beside the disease that predicts the class, such as brightness, size or a marker."),
    Term(
        "poor generated images",
        "Generated images that differ from the real ones far more than real ones differ from each other (KID), or that "
        "cover less than half of what as many real ones cover. Such a row says little about what better generated "
        "images would do. Mark g.",
    ),
    Term("coverage", "The share of real images that have a generated one among their nearest neighbours."),
    Term("KID", "Kernel Inception distance between real and generated images; lower is better."),
    Term("FID", "Fréchet Inception distance between real and generated images; lower is better. Biased for few."),
    Term("real images at the same number", "The score that as many real images reach: what a perfect generator would."),
    Term("data set", "Images with classes and patients, as their authors released them or in a folder of your own."),
    Term("classifier", "The network that is trained and tested; the same for all methods of a table."),
    Term(
        "GAN",
        "Generative adversarial network: a generator learns to make images that a second network, the critic, cannot "
        "tell from real ones.",
        ("generative adversarial network",),
    ),
    Term("AC-GAN", "A GAN that is told the class of the image that it shall make (auxiliary classifier GAN)."),
    Term(
        "ReACGAN",
        "A later AC-GAN that is steadier to train, the strongest GAN here (rebooted auxiliary classifier GAN).",
    ),
    Term("class balancing", "Every class is drawn equally often in training, however rare it is."),
    Term(
        "rotations, flips, zoom",
        "Training images are turned, mirrored, enlarged and shifted at random, anew each time.",
    ),
    Term(
        "hybrid",
        "Training on real and generated images, all of them rotated, flipped and zoomed as in the method without them.",
    ),
    Term("generator", "A model that learns from the training images of a fold and makes new ones."),
    Term("recipe", "A name with its parameters, as commands and files write it: hybrid[generator=resample]."),
    Term("plugin", "A file that adds data sets, methods, generators, classifiers, metrics or scores."),
    Term("study", "What is compared with what on which data, as a file or as options; fixed before the run."),
    Term("result store", "The folder in which every finished training run is kept; nothing in it is run twice."),
    Term("bundle", "One file with a run's predictions, from which others recompute every number."),
    Term("entry", "A published, verified bundle on the site."),
    Term("time", "What a method costs alone, its generator's training included, in seconds, minutes or hours."),
)
TERMS: Mapping[str, Term] = {term.name: term for term in _TERMS}
"""Every word by its name."""
