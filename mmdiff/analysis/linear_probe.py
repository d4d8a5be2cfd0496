"""How well a linear classifier does on features."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def linear_probe_accuracy(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
) -> float:
    """Accuracy of a logistic regression on standardised features.

    It is scikit-learn's with ``C=0.01`` and at most 200 steps of L-BFGS.

    Args:
        train_features (ndarray): Shape (num_train, dims).
        train_labels (ndarray): Classes, shape (num_train, ).
        test_features (ndarray): Shape (num_test, dims).
        test_labels (ndarray): Classes, shape (num_test, ).

    Returns:
        float: Accuracy on the test features, in per cent.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1e-2, max_iter=200))
    probe.fit(train_features, train_labels)
    return 100 * probe.score(test_features, test_labels)
