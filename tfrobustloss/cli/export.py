"""`tfrobustloss export`: exports a saved model for TF Serving."""

import fractions
import math
import os
import shlex
import warnings

from tfrobustloss._core.validation import ParameterError


def add_parser(commands):
    """Adds the subcommand and its options to the subparsers `commands`."""
    parser = commands.add_parser(
        "export",
        help="write a trained model as a version that TF Serving takes",
        description="Writes MODEL.keras as a SavedModel into the next free version of "
        "DIR. It needs neither this package nor Keras to be served; the softmax, "
        "tempered softmax or sigmoid that its loss implies is inside. One sigmoid unit "
        "is served as two classes.",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL.keras", help="a saved Keras model")
    parser.add_argument(
        "path", metavar="DIR", help="folder of versions, made if missing"
    )
    option = parser.add_argument
    text = "also take encoded images: PNG, JPEG, GIF or BMP"
    option("--image-bytes", action="store_true", help=text)
    text = "multiply decoded images by it, such as 1/255 (default: they stay 0 to 255)"
    option("--scale", metavar="S", help=text)
    text = "comma-separated names, two for one sigmoid unit; or a file, one a line"
    option("--class-names", metavar="NAMES", help=text)
    text = "how many classes to name (default: 5, or all where they are fewer)"
    option("--top-k", type=int, metavar="N", help=text)
    text = "number of the version (default: the next free one)"
    option("--version", type=int, metavar="N", help=text)
    text = "softmax, sigmoid or linear (default: what the saved loss implies)"
    option("--activation", metavar="NAME", help=text)
    text = "of a tempered softmax on the outputs"
    option("--temperature", type=float, metavar="T", help=text)
    text = "of many labels at once: when a class is on, a number in [0, 1] or one a "
    text += "class, separated by commas (default: 0.5 where the loss is one of many)"
    option("--thresholds", metavar="P", help=text)
    text = "write no requests for the server to run while it loads"
    option("--no-warmup", action="store_true", help=text)
    parser.set_defaults(run=run)


def run(arguments):
    """Exports the model and prints how to serve it.

    Args:
        arguments: Parsed options.

    Returns:
        Exit code 0.
    """
    from tfrobustloss import serving

    if not os.path.isfile(arguments.model):
        raise ParameterError("export", "MODEL.keras", arguments.model, "a file")
    version = serving.export(
        _load(arguments.model),
        arguments.path,
        class_names=_class_names(arguments.class_names),
        preprocessing=_rescaling(arguments.scale, arguments.image_bytes),
        image_bytes=arguments.image_bytes,
        top_k=arguments.top_k,
        warmup={} if arguments.no_warmup else None,
        version=arguments.version,
        activation=arguments.activation,
        temperature=arguments.temperature,
        thresholds=_thresholds(arguments.thresholds),
    )
    print(_report(version))
    return 0


def _load(path):
    """A saved model, without a warning that its optimizer has not been used yet."""
    import keras

    with warnings.catch_warnings():
        text = "(?s).*Skipping variable loading for optimizer"
        warnings.filterwarnings("ignore", text)
        try:
            return keras.saving.load_model(path)
        except TypeError as error:  # a class of the user's; it has the whole config
            reason = str(error).rpartition("Exception encountered: ")[2]
            reason = reason.partition(". ")[0].split("\n")[0].removesuffix(".")
            constraint = "a model of layers and losses that are known here"
            hint = f"{reason}. Import your own and call serving.export in Python."
            raise ParameterError(
                "export", "MODEL.keras", path, constraint, hint
            ) from None


def _class_names(text):
    if text is None:
        return None
    if os.path.isfile(text):
        with open(text, encoding="utf-8") as file:
            return [line.strip() for line in file if line.strip()]
    return [name.strip() for name in text.split(",")]


def _thresholds(text):
    """A number or a list of numbers, or None."""
    if text is None:
        return None
    try:
        numbers = [float(each) for each in text.split(",")]
    except ValueError:
        constraint = "a number, or numbers separated by commas"
        raise ParameterError("export", "thresholds", text, constraint) from None
    return numbers if "," in text else numbers[0]


def _rescaling(text, image_bytes):
    """The layer that multiplies decoded images by a number, or None."""
    if text is None:
        return None
    import keras

    try:
        scale = float(fractions.Fraction(text.replace(" ", "")))
    except (ValueError, ArithmeticError):
        scale = 0.0
    if not 0 < scale < math.inf:
        constraint = "a finite number above 0, such as 1/255"
        raise ParameterError("export", "scale", text, constraint)
    if not image_bytes:
        hint = "It scales the images that --image-bytes decodes."
        constraint = "given with --image-bytes"
        raise ParameterError("export", "scale", text, constraint, hint)
    return keras.layers.Rescaling(scale)


def _report(version):
    """The version's path and the commands that inspect and serve it."""
    folder = os.path.dirname(version)
    name = os.path.basename(folder)
    mount = shlex.quote(f"{folder}:/models/{name}:ro")
    return (
        f"Written: {version}\n"
        f"See it:   saved_model_cli show --dir {shlex.quote(version)} --all\n"
        f"Serve it: docker run --rm -p 127.0.0.1:8501:8501 -v {mount} "
        f"-e MODEL_NAME={shlex.quote(name)} tensorflow/serving\n"
        f"Ask it:   curl http://127.0.0.1:8501/v1/models/{name}:predict "
        "-d '{\"instances\": [...]}'"
    )
