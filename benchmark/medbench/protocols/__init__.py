"""Who is trained on and who is tested: folds, subsets, leaks, and the check of training sets."""
