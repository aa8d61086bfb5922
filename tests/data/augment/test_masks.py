"""Segmentation masks move with the images; other targets with places are refused."""

import keras
import numpy as np
import pytest
from keras import ops

from tfrobustloss import losses
from tfrobustloss._core import backend
from tfrobustloss.data import augment

# Keras' RandAugment on PyTorch, in `count_nonzero`
pytestmark = pytest.mark.filterwarnings("ignore:Tensor.T is deprecated:UserWarning")

L = keras.layers
COUNT, SIZE = 6, 12
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
# each pixel holds its own row and column: linear, so interpolation keeps it true
PLACES = np.tile(np.stack([ROWS, COLUMNS], -1), (COUNT, 1, 1, 1)).astype("float32")
IDS = np.arange(COUNT * SIZE * SIZE).reshape(COUNT, SIZE, SIZE)


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def layer(layer_class, *arguments, **options):
    made = layer_class(*arguments, **options, dtype="float32")
    return augment.Recipe(augment.ImageLayer(made))


EVERYTHING = augment.Affine(
    rotation=40, shift=0.2, shear=0.2, zoom=0.3, flip="both", pixels=1
)


# --- the map


@pytest.mark.parametrize("xla", [False, True])
def test_masks_are_the_nearest_points_of_the_images(xla):
    recipe = augment.Recipe(EVERYTHING)

    def run(images, rows, columns):
        masks = {"row": rows, "column": [columns]}
        batch = {"images": images, "segmentation_masks": masks}
        return recipe(batch, seed=3)

    found = backend.compiled(run, xla)(PLACES, IDS // SIZE % SIZE, IDS % SIZE)
    masks = found["segmentation_masks"]
    masks = np.stack([numpy(masks["row"]), numpy(masks["column"][0])], -1)
    images = numpy(found["images"])
    assert np.abs(images - masks).max() <= 0.5 + 1e-4
    assert np.abs(images - PLACES).max() > 3


@pytest.mark.parametrize(
    "recipe",
    [
        augment.pad_crop_flip(3),
        augment.Recipe(augment.Affine(pixels=3, flip="both", fill_mode="reflect")),
        layer(L.RandomFlip),
        layer(L.RandomRotation, 0.2, interpolation="nearest"),
        layer(L.RandomTranslation, 0.3, 0.3, "constant", "nearest", fill_value=0),
        layer(L.RandomZoom, 0.3, interpolation="nearest"),
        layer(L.RandomShear, 0.3, 0.3, interpolation="nearest"),
        layer(L.RandomPerspective, 1.0, 0.5, interpolation="nearest"),
        layer(L.RandomCrop, 8, 8),
    ],
    ids=lambda recipe: str(recipe.get_config()["steps"][0]["config"])[:60],
)
def test_masks_are_the_images_where_nothing_is_interpolated(recipe):
    images = (IDS + 1).astype("float32")[..., None]
    batch = {"images": images, "segmentation_masks": (IDS + 1)[..., None]}
    found = recipe(batch, seed=1)
    np.testing.assert_array_equal(
        numpy(found["images"]), numpy(found["segmentation_masks"])
    )
    alone = numpy(recipe(images, seed=1))
    np.testing.assert_array_equal(numpy(found["images"]), alone)
    assert alone.shape != images.shape or (alone != images).any()


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (layer(L.RandomElasticTransform, 1.0, 1.0), "'RandomElasticTransform'.*again"),
        (layer(L.RandomCrop, 16, 16), r"RandomCrop: .*\(height, width\)=\(16, 16\)"),
    ],
)
def test_layers_that_spoil_masks_are_refused(recipe, text):
    images = np.zeros((COUNT, SIZE, SIZE, 1), "uint8")
    recipe(images, seed=0)
    with pytest.raises(ValueError, match=text):
        recipe({"images": images, "segmentation_masks": IDS}, seed=0)


@pytest.mark.parametrize("seed", [0, 1])  # one moves pixels, the other colours
def test_masks_of_rand_augment_move_where_its_images_do(seed):
    recipe = augment.rand_augment(3, num_ops=1)
    masks = IDS % SIZE
    images = np.tile(20 * masks[..., None], 3).astype("uint8")
    found = recipe({"images": images, "segmentation_masks": masks}, seed=seed)
    moved = numpy(found["segmentation_masks"])
    assert set(np.unique(moved)) <= set(range(SIZE))
    # columns of one class: a colour operation maps each class to one value
    values = numpy(found["images"])[..., 0]
    if (moved == masks).all():
        for each in range(COUNT):
            for one in range(SIZE):
                assert np.ptp(values[each][moved[each] == one]) < 1.01
    else:
        assert np.abs(values - 20 * moved).max() <= 20  # half a column each way


def test_what_moves_no_pixels_leaves_masks():
    recipe = augment.random_erasing(1.0) + layer(L.RandomBrightness, 0.5)
    batch = {"images": PLACES.astype("uint8"), "segmentation_masks": IDS}
    found = recipe(batch, seed=0)
    np.testing.assert_array_equal(numpy(found["segmentation_masks"]), IDS)
    assert (numpy(found["images"]) != PLACES).any()
    # so targets of any kind may go along
    boxes = np.zeros((COUNT, 5, 4))
    assert recipe(PLACES.astype("uint8"), boxes, seed=0)[1] is boxes


# --- new pixels


def moved_ones(fill, masks, step=None, weights=None):
    """Masks and weights of a step that moves all to the right or left."""
    step = step or augment.Affine(
        pixels=3, fill_mode="constant", fill_value=0, mask_fill_value=fill
    )
    ones = np.ones((COUNT, SIZE, SIZE, 1), "float32")
    batch = {"images": ones, "segmentation_masks": masks}
    if weights is not None:
        batch["sample_weight"] = weights
    found = augment.Recipe(step)(batch, seed=0)
    return numpy(found["images"])[..., 0] == 0, found


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
@pytest.mark.parametrize("channels", [(), (1,)])
def test_new_pixels_of_ids_are_of_the_class_asked_for(dtype, channels):
    masks = np.full((COUNT, SIZE, SIZE, *channels), 2, dtype)
    new, found = moved_ones(255, masks)
    moved = numpy(found["segmentation_masks"])
    assert moved.shape == masks.shape
    assert moved.dtype == numpy(ops.convert_to_tensor(masks)).dtype  # JAX: 32 bits
    moved = moved.reshape(new.shape)
    assert 0 < new.mean() < 0.6
    np.testing.assert_array_equal(moved, np.where(new, 255, 2))


@pytest.mark.parametrize(
    ("fill", "row"), [(0, [1, 0, 0]), (2, [0, 0, 1]), (255, [0, 0, 0]), (-1, [0, 0, 0])]
)
def test_new_pixels_of_one_hot_masks_are_a_row(fill, row):
    masks = np.tile(np.eye(3)[1], (COUNT, SIZE, SIZE, 1)).astype("float32")
    new, found = moved_ones(fill, masks)
    expected = np.where(new[..., None], row, [0, 1, 0])
    np.testing.assert_array_equal(numpy(found["segmentation_masks"]), expected)


def test_new_pixels_of_keras_layers():
    made = L.RandomTranslation(0.3, 0.3, "constant", fill_value=0.5, dtype="float32")
    step = augment.ImageLayer(made, mask_fill_value=7)
    masks = np.full((COUNT, SIZE, SIZE), 2)
    _, found = moved_ones(None, masks, step)
    moved = numpy(found["segmentation_masks"])
    image = numpy(found["images"])[..., 0]
    assert set(np.unique(moved)) == {2, 7}
    assert (moved[image == 0.5] == 7).all()
    assert (moved[image == 1] == 2).all()


def test_weights_per_pixel_move_and_new_pixels_weigh_nothing():
    masks, weights = np.ones((COUNT, SIZE, SIZE), int), 3 + IDS.astype("float32")
    new, found = moved_ones(0, masks, weights=weights)
    moved = numpy(found["sample_weight"])
    assert (moved[new] == 0).all()
    assert (moved[~new] >= 3).all()
    _, found = moved_ones(0, masks, weights=np.ones(COUNT))  # per example: as they are
    np.testing.assert_array_equal(numpy(found["sample_weight"]), np.ones(COUNT))
    # where the border is repeated, copies of pixels weigh nothing either
    repeated = augment.Affine(pixels=3)
    _, found = moved_ones(0, masks, repeated, weights=weights)
    assert (numpy(found["sample_weight"]) == 0).any()


# --- in a model


def edge_images():
    """A bright half on the left, and its masks."""
    images = np.zeros((16, 8, 8, 1), "float32")
    images[:, :, :3] = 1
    return images, images[..., 0].astype("int32")


def perfect(outputs=2):
    """A network that finds the bright half, without error."""
    net = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(outputs, 1)])
    kernel = np.full((1, 1, 1, outputs), -20.0)
    kernel[..., 1] = 20
    bias = np.full(outputs, -30.0)
    bias[:2] = 10, -10
    net.set_weights([kernel, bias])
    return net


@pytest.mark.parametrize("target", ["ids", "ids with an axis", "one-hot"])
def test_a_perfect_network_stays_perfect(target):
    images, ids = edge_images()
    masks = {
        "ids": ids,
        "ids with an axis": ids[..., None],
        "one-hot": np.eye(2, dtype="float32")[ids],
    }[target]
    recipe = augment.adma("cifar100") + augment.pad_crop_flip(2)
    net = perfect()
    model = augment.attach(net, recipe, seed=0, targets="segmentation_masks")
    metrics = ["categorical_accuracy" if target == "one-hot" else "accuracy"]
    compiled = {"run_eagerly": True}
    if target == "ids" and keras.backend.backend() != "torch":
        compiled = {"jit_compile": True}
    loss = losses.MeanAbsoluteError(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=metrics, **compiled)
    for _ in range(2):
        assert model.train_on_batch(images, masks)[1] > 0.99
    # where masks stay where they were, the same network is wrong
    still = augment.attach(net, recipe, seed=0, targets="labels")
    still.compile("sgd", loss, metrics=metrics, run_eagerly=True)
    assert still.train_on_batch(images, masks)[1] < 0.95


def test_the_step_is_that_of_the_recipe():
    """Loss of one training step, against the recipe and the model called by hand."""
    images, ids = edge_images()
    weights = np.random.default_rng(0).random((16, 8, 8)).astype("float32")
    recipe = augment.adma("cifar100") + augment.pad_crop_flip(2, mask_fill_value=1)
    model = augment.attach(perfect(3), recipe, seed=5, targets="segmentation_masks")
    loss = losses.GeneralizedCrossEntropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    found = model.train_on_batch(images, ids, weights)
    batch = {"images": images, "segmentation_masks": ids, "sample_weight": weights}
    batch = recipe(batch, seed=keras.random.SeedGenerator(5))
    expected = loss(
        batch["segmentation_masks"],
        model.model(batch["images"]),
        batch["sample_weight"],
    )
    np.testing.assert_allclose(found, numpy(expected), rtol=1e-5)


def two_heads():
    image = keras.Input((8, 8, 1), name="image")
    mask = L.Conv2D(2, 1, name="segments")(image)
    label = L.Dense(2, name="label")(L.GlobalAveragePooling2D()(image))
    return keras.Model(image, {"segments": mask, "label": label})


def test_each_target_of_its_kind():
    images, ids = edge_images()
    y = {"segments": ids, "label": np.zeros(16, int)}
    model = augment.attach(
        two_heads(), augment.pad_crop_flip(2), 0, {"segments": "segmentation_masks"}
    )
    model.model.get_layer("segments").set_weights(perfect().get_weights())
    loss = losses.MeanAbsoluteError(from_logits=True)
    model.compile(
        keras.optimizers.SGD(0.0),
        {"segments": loss, "label": loss},
        metrics={"segments": "accuracy"},
        run_eagerly=True,
    )
    history = model.fit(images, y, verbose=0).history
    assert history["segments_accuracy"][0] == 1


def test_targets_are_saved_with_the_model(tmp_path):
    images, ids = edge_images()
    given = {"segments": "segmentation_masks", "label": "labels"}
    model = augment.attach(two_heads(), augment.pad_crop_flip(2), 0, given)
    model(images)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.targets == given
    assert again.augmentation.recipe.moves_pixels


# --- refused


@pytest.mark.parametrize(
    ("output", "shape"),
    [
        (L.Conv2D(2, 1), "None, 8, 8, 2"),
        (L.Reshape((64, 1)), "None, 64, 1"),
        (L.Reshape((8, 8)), "None, 8, 8"),
        (L.Flatten(), "None, 64"),
    ],
    ids=["per pixel", "per anchor", "per row", "flattened"],
)
def test_outputs_with_places_are_refused_at_once(output, shape):
    net = keras.Sequential([keras.Input((8, 8, 1)), output])
    text = rf"^attach: `model.output.shape`.*\({shape}\).*targets=.segmentation_masks"
    with pytest.raises(ValueError, match=text):
        augment.attach(net, augment.adma("mnist"))
    augment.attach(net, augment.random_erasing())  # moves nothing
    augment.attach(net, augment.adma("mnist"), targets="labels")


def test_heads_with_places_are_refused_at_once():
    with pytest.raises(ValueError, match="`model.output segments.shape`"):
        augment.attach(two_heads(), augment.adma("mnist"))
    image = keras.Input((8, 8, 1))
    flat = L.Flatten()(image)
    heads = {"box": L.Dense(4, name="box")(flat), "label": L.Dense(2)(flat)}
    with pytest.raises(ValueError, match="box.*Boxes"):
        augment.attach(keras.Model(image, heads), augment.adma("mnist"))


class Pooled(keras.Model):
    """A network whose outputs are not known before it is called."""

    def call(self, images):
        return ops.mean(images, axis=(1, 2))


@pytest.mark.parametrize(
    ("y", "name"),
    [
        (np.zeros((16, 8, 8), int), r"y.shape=\(.*, 8, 8\)"),
        (np.zeros((16, 8, 8, 1), int), r"y.shape=\(.*, 8, 8, 1\)"),
        (np.zeros((16, 8, 8, 3)), r"y.shape=\(.*, 8, 8, 3\)"),
        (np.zeros((16, 5, 4)), r"y.shape=\(.*, 5, 4\)"),
        (np.zeros((16, 1, 4)), r"y.shape=\(.*, 1, 4\)"),
        (np.zeros((16, 64)), r"y.shape=\(.*, 64\)"),
        (
            {"boxes": np.zeros((16, 5, 4)), "label": np.zeros(16)},
            r"y\['boxes'\].shape=\(.*, 5, 4\)",
        ),
        (
            {"box": np.zeros((16, 4)), "label": np.zeros(16)},
            r"y\['box'\].shape=\(.*, 4\)",
        ),
        ([np.zeros(16), np.zeros((16, 8, 8))], r"y\[1\].shape=\(.*, 8, 8\)"),
    ],
)
def test_targets_with_places_are_refused(y, name):
    images, _ = edge_images()
    model = augment.attach(Pooled(), augment.adma("mnist"))
    model.compile("sgd", lambda y_true, y_pred: ops.mean(y_pred))
    with pytest.raises(ValueError, match=f"^attach: .*Received: {name}.*Boxes"):
        model.fit(images, y, verbose=0)


@pytest.mark.parametrize(
    "y",
    [np.zeros(16), np.zeros((16, 1)), np.eye(16), np.zeros((16, 1, 1, 4)), None],
    ids=["ids", "column", "rows", "map of one pixel", "none"],
)
def test_labels_of_whole_images_are_not(y):
    images, _ = edge_images()
    net = keras.Sequential([L.Flatten(), L.Dense(1)])
    model = augment.attach(net, augment.Recipe(EVERYTHING))
    model.compile("sgd", lambda y_true, y_pred: ops.mean(y_pred), run_eagerly=True)
    if y is None:
        model._moves_targets(images, None, None)
        return
    model.train_on_batch(images, y)


def as_masks(net=None, **options):
    model = augment.attach(
        net or perfect(), augment.pad_crop_flip(2, **options), 0, "segmentation_masks"
    )
    model.compile("sgd", losses.MeanAbsoluteError(from_logits=True))
    return model


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.zeros((16, 4, 4), int), r"\(batch, 8, 8\).*y.shape=\(.*, 4, 4\).*Resize"),
        (np.zeros(16, int), r"\(batch, 8, 8\).*y.shape=\(.*\)"),
        (np.zeros((16, 8, 8, 4)), "1 channel of class ids or 2.*Distance maps"),
        (np.full((16, 8, 8, 2), -1.5), r"`y`.*y=\[-1.5.*distance map"),
    ],
    ids=["smaller", "labels", "mask and distance", "distance"],
)
def test_masks_that_cannot_move_are_refused(y, text):
    images, _ = edge_images()
    with pytest.raises(ValueError, match=f"^attach: .*{text}"):
        as_masks().fit(images, y, verbose=0)


def test_mistakes_with_masks():
    images, ids = edge_images()
    mask = {"images": images, "segmentation_masks": ids}
    flip = augment.Recipe(augment.Affine(flip="horizontal"))
    for call, text in (
        (lambda: flip(images, ids), "`labels.shape`.*segmentation_masks"),
        (lambda: flip(images, {"boxes": np.zeros((16, 3, 4))}), "`labels.shape`"),
        (lambda: flip({"images": images, "bounding_boxes": 0}), "bounding_boxes"),
        (lambda: flip({"segmentation_masks": ids}), r"keys=\['segmentation_masks'\]"),
        (lambda: flip(mask, np.zeros(16)), "`labels` must be None where a dict"),
        (lambda: augment.mixup(2)(mask, seed=0), "`segmentation_masks`.*MixUp"),
        (lambda: augment.cutmix(2)(mask, seed=0), "`segmentation_masks`.*CutMix"),
        (lambda: augment.attach(perfect(), flip, targets="masks"), "targets='masks'"),
        (
            lambda: as_masks(mask_fill_value=-1).train_on_batch(
                images, ids.astype("uint8")
            ),
            "uint8 can hold.*mask_fill_value=-1",
        ),
        (
            lambda: as_masks().fit(images, ids, sample_weight=np.ones((16, 5, 2))),
            r"sample_weight.shape=\(.*, 5, 2\)",
        ),
        (lambda: augment.Affine(mask_fill_value=0.5), "mask_fill_value=0.5"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_models_that_take_more_than_images_are_refused_at_once():
    image, more = keras.Input((8, 8, 1), name="image"), keras.Input((3,), name="more")
    both = L.Concatenate()([L.Flatten()(image), more])

    class Two(keras.Model):
        def call(self, images, more, training=False):
            return images

    class Nested(keras.Model):
        def call(self, inputs):
            return inputs[0]

    nested = Nested()
    nested([np.ones((1, 8, 8, 1)), np.ones((1, 3))])

    class Stepping(keras.Model):
        def train_step(self, *arguments):
            return super().train_step(*arguments)

    for model, text in (
        (
            keras.Model([image, more], L.Dense(2)(both)),
            r"one batch of images.*\(None, 3\)",
        ),
        (
            keras.Model({"image": image, "more": more}, L.Dense(2)(both)),
            "one batch of images",
        ),
        (Two(), r"\['images', 'more'\]"),
        (nested, r"\(1, 3\)"),
        (keras.Sequential([keras.Input((8,)), L.Dense(2)]), r"\(None, 8\)"),
        (Stepping(), "own `train_step`.*'Stepping'"),
    ):
        with pytest.raises(ValueError, match=f"^attach: .*{text}"):
            augment.attach(model, augment.adma("mnist"))
    # of one that is not built it shows in `fit`
    late = augment.attach(Nested(), augment.adma("mnist"))
    late.compile("sgd", "mse")
    with pytest.raises(ValueError, match="one batch of images.*model.inputs='list'"):
        late.fit([np.ones((1, 8, 8, 1)), np.ones((1, 3))], np.ones(1))
