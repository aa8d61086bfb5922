"""Registration of functions with Keras, for models that are saved with them."""

import keras


def saved_by_name(function):
    """Decorator: registers a function with Keras, so that saved models find it.

    The registered name is `tfrobustloss>losses.<name>`. Not `tfrobustloss>focal`: Keras
    gives an unregistered function `focal` of a file the first registered name that ends
    in `>focal`, so a user's own loss would be loaded as ours.

    Args:
        function: A public function of `losses`.

    Returns:
        The same function.
    """
    name = f"losses.{function.__name__}"
    return keras.saving.register_keras_serializable("tfrobustloss", name)(function)
