"""Titles of works that recipes and data sets name by their arXiv number or DOI alone."""

from __future__ import annotations

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "10.1007/11538059_91": "Borderline-SMOTE: A New Over-Sampling Method in Imbalanced Data Sets Learning",
    "10.1016/S0047-259X(03)00096-4": "A well-conditioned estimator for large-dimensional covariance matrices",
    "10.1038/s41597-022-01721-8": "MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image "
    "classification",
    "10.1038/s41597-023-02432-4": "FracAtlas: A Dataset for Fracture Classification, Localization and Segmentation of "
    "Musculoskeletal Radiographs",
    "10.1038/sdata.2017.117": "Advancing The Cancer Genome Atlas glioma MRI collections with expert segmentation "
    "labels and radiomic features",
    "10.1109/TMI.2014.2377694": "The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS)",
    "10.1117/12.2073532": "An open access thyroid ultrasound image database",
    "10.1148/radiol.11110206": "Thyroid Imaging Reporting and Data System for US Features of Nodules: A Step in "
    "Establishing Better Stratification of Cancer Risk",
    "10.13026/q45h-5h59": "VinDr-SpineXR: A large annotated medical image dataset for spinal lesions detection and "
    "classification from radiographs",
    "10.1613/jair.953": "SMOTE: Synthetic Minority Over-sampling Technique",
    "10.23915/distill.00003": "Deconvolution and Checkerboard Artifacts",
    "10.7937/K9/TCIA.2015.588OZUZB": "Data From REMBRANDT",
    "1406.2661": "Generative Adversarial Networks",
    "1409.1556": "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "1511.06434": "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    "1512.00567": "Rethinking the Inception Architecture for Computer Vision",
    "1606.03498": "Improved Techniques for Training GANs",
    "1608.06993": "Densely Connected Convolutional Networks",
    "1610.04490": "Amortised MAP Inference for Image Super-resolution",
    "1610.06545": "Revisiting Classifier Two-Sample Tests",
    "1610.09585": "Conditional Image Synthesis With Auxiliary Classifier GANs",
    "1701.07875": "Wasserstein GAN",
    "1704.00028": "Improved Training of Wasserstein GANs",
    "1706.08500": "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
    "1707.00683": "Modulating early visual processing by language",
    "1708.02002": "Focal Loss for Dense Object Detection",
    "1710.09412": "mixup: Beyond Empirical Risk Minimization",
    "1712.00981": "Feature Generating Networks for Zero-Shot Learning",
    "1712.06957": "MURA: Large Dataset for Abnormality Detection in Musculoskeletal Radiographs",
    "1801.01401": "Demystifying MMD GANs",
    "1802.05637": "cGANs with Projection Discriminator",
    "1803.05407": "Averaging Weights Leads to Wider Optima and Better Generalization",
    "1805.01978": "Unsupervised Feature Learning via Non-Parametric Instance-level Discrimination",
    "1805.08974": "Do Better ImageNet Models Transfer Better?",
    "1806.05236": "Manifold Mixup: Better Representations by Interpolating Hidden States",
    "1807.09499": "How good is my GAN?",
    "1811.02629": "Identifying the Best Machine Learning Algorithms for Brain Tumor Segmentation, Progression "
    "Assessment, and Overall Survival Prediction in the BRATS Challenge",
    "1902.07208": "Transfusion: Understanding Transfer Learning for Medical Imaging",
    "1904.00625": "Med3D: Transfer Learning for 3D Medical Image Analysis",
    "1904.06991": "Improved Precision and Recall Metric for Assessing Generative Models",
    "1905.04899": "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    "1905.10887": "Classification Accuracy Score for Conditional Generative Models",
    "1909.13719": "RandAugment: Practical automated data augmentation with a reduced search space",
    "1911.07023": "Effectively Unbiased FID and Inception Score and where to find them",
    "1912.02781": "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty",
    "2002.09797": "Reliable Fidelity and Diversity Metrics for Generative Models",
    "2004.05675": "A Non-Parametric Test to Detect Data-Copying in Generative Models",
    "2006.10738": "Differentiable Augmentation for Data-Efficient GAN Training",
    "2006.11239": "Denoising Diffusion Probabilistic Models",
    "2007.07314": "Long-tail learning via logit adjustment",
    "2010.02502": "Denoising Diffusion Implicit Models",
    "2012.04846": "SnapMix: Semantically Proportional Mixing for Augmenting Fine-grained Data",
    "2102.09672": "Improved Denoising Diffusion Probabilistic Models",
    "2011.09172": "On Focal Loss for Class-Posterior Probability Estimation: A Theoretical Perspective",
    "2103.10158": "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation",
    "2104.14294": "Emerging Properties in Self-Supervised Vision Transformers",
    "2106.12930": "VinDr-SpineXR: A deep learning framework for spinal lesions detection and classification from "
    "radiographs",
    "2111.01118": "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training",
    "2201.12078": "You Only Cut Once: Boosting Data Augmentation with a Single Cut",
    "2202.00512": "Progressive Distillation for Fast Sampling of Diffusion Models",
    "2205.15955": "CropMix: Sampling a Rich Input Distribution via Multi-Scale Cropping",
    "2207.12598": "Classifier-Free Diffusion Guidance",
    "2305.07644": "Beware of diffusion models for synthesizing medical images - A comparison with GANs in terms of "
    "memorizing brain MRI and chest x-ray images",
    "2311.13717": "Feature Extraction for Generative Medical Imaging Evaluation: New Evidence Against an Evolving "
    "Trend",
    "2402.01054": "Unconditional Latent Diffusion Models Memorize Patient Imaging Data: Implications for Openly "
    "Sharing Synthetic Data",
    "2504.18983": "MediAug: Exploring Visual Augmentation in Medical Imaging",
}
"""Title by arXiv number or DOI."""
