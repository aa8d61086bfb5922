"""Reads image files of a user: headers first, then pixels in threads."""

import collections
import concurrent.futures
import os
import warnings

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets.found import OWNER, check_bytes

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG")
MOST_PIXELS = 89_000_000  # from 89,478,486 on, Pillow warns of a decompression bomb
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
_THREADS = 16
_AHEAD = 1024  # images whose decoding is queued at a time


def read_images(paths, places, image_size, max_bytes, channels=None):
    """Decodes image files into one array.

    Args:
        paths: List of paths.
        places: List of text, what to call each file in errors.
        image_size: `(height, width)` or None for the size that all have.
        max_bytes: Largest size of the array.
        channels: 1, 3, or None for 1 if all images are grey and else 3.

    Returns:
        Uint8 array, shape `(images, height, width, channels)`, and a list of notes.

    Raises:
        ValueError: A file is damaged, no image or too large, sizes differ and
            `image_size` is None, or the array would be too large.
    """
    headers = [_header(path, place) for path, place in zip(paths, places, strict=True)]
    grey = [is_grey for _, is_grey in headers]
    notes = []
    if channels is None and any(grey) and not all(grey):
        one = places[grey.index(True)]
        notes.append(
            f"{sum(grey)} of {len(grey)} images are grey, for example {one!r}: their "
            "three channels are equal."
        )
    channels = channels or (1 if all(grey) else 3)
    size = _size(headers, image_size)
    hint = f"Make `image_size` smaller than {size}, or raise `max_bytes`."
    total = len(paths) * size[0] * size[1] * channels
    check_bytes(f"{len(paths)} images", total, max_bytes, hint)
    images = np.empty((len(paths), *size, channels), np.uint8)

    def fill(index):
        try:
            images[index] = _decoded(paths[index], size, channels)
        except Exception as error:  # decoders raise errors of many types
            raise _unreadable(places[index], error) from None

    threads = min(_THREADS, os.cpu_count() or 1)
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        for start in range(0, len(paths), _AHEAD):
            part = range(start, min(start + _AHEAD, len(paths)))
            collections.deque(pool.map(fill, part), maxlen=0)
    finally:
        pool.shutdown(cancel_futures=True)
    return images, notes


def _header(path, place):
    """`((height, width), is grey)` of a file, of which the header alone is read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                (width, height), is_grey = image.size, _is_grey(image)
    except Image.DecompressionBombError:
        raise _too_large(place, "more than twice that") from None
    except Exception as error:  # as above
        raise _unreadable(place, error) from None
    if width * height > MOST_PIXELS:
        raise _too_large(place, f"{height} x {width}")
    return (height, width), is_grey


def _is_grey(image):
    palette = image.getpalette("RGB") if image.mode == "P" else None
    if palette:
        return palette[::3] == palette[1::3] == palette[2::3]
    return image.mode in _GREY


def _too_large(place, found):
    constraint = f"an image of at most {MOST_PIXELS // 10**6} million pixels"
    hint = "It was not decoded. Shrink the file or move it away."
    return ParameterError(OWNER, place, found, constraint, hint)


def _unreadable(place, error):
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    constraint = "a PNG, JPEG, BMP or GIF image"
    hint = "Replace the file or move it away."
    return ParameterError(OWNER, place, reason, constraint, hint)


def _size(headers, image_size):
    if image_size is not None:
        return image_size
    sizes = collections.Counter(size for size, _ in headers)
    if len(sizes) == 1:
        return headers[0][0]
    common = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    most = ", ".join(f"{count} of {h} x {w}" for (h, w), count in common[:4])
    if len(sizes) > 4:
        most += f" and {len(sizes) - 4} more sizes"
    constraint = f"given, since the images differ in size: {most}"
    hint = (
        f"For example image_size={common[0][0]}, height and width: each image is "
        "resized to it, without keeping its proportions."
    )
    raise ParameterError(OWNER, "image_size", None, constraint, hint)


def _decoded(path, size, channels):
    """One image, stretched: bilinear with antialiasing, as Pillow rounds it."""
    from PIL import Image

    with Image.open(path, formats=_FORMATS) as image:
        if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
            levels = np.clip(np.asarray(image, np.int64) // 256, 0, 255)
            image = Image.fromarray(levels.astype(np.uint8))
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (size[1], size[0]):
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(image, np.uint8).reshape(*size, channels)
