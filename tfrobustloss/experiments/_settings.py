"""What a comparison of losses is made of."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """The one setting under which every loss of a comparison is trained.

    Attributes:
        dataset: `"digits"` or the name of a TFDS image classification set.
        data_dir: Folder of prepared TFDS data, or None for the default of TFDS.
        noise: `none`, `symmetric:R`, `pair:R` or `asymmetric:R`, R in [0, 1].
        losses: Comma-separated `name` or `name:key=value:key=value`, or `all`.
        model: Name of a function of `tfrobustloss.architectures`.
        epochs: Int >= 1.
        batch_size: Int >= 1.
        optimizer: Name of a Keras optimizer, in lower case.
        learning_rate: Float > 0, or None for the optimizer's own in Keras.
        momentum: Float in [0, 1), or None for 0.9 with SGD and the optimizer's own
            otherwise.
        seeds: Int >= 1; the seeds are 0, 1, ... seeds - 1.
        train_size: Number of training images, or None for all.
    """

    dataset: str = "digits"
    data_dir: str | None = None
    noise: str = "symmetric:0.6"
    losses: str = (
        "cross_entropy,generalized_cross_entropy,symmetric_cross_entropy,"
        "mean_absolute_error,bi_tempered_logistic:t1=0.5:t2=4.0,forward_correction"
    )
    model: str = "mlp2"
    epochs: int = 150
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float | None = None
    seeds: int = 3
    train_size: int | None = None
