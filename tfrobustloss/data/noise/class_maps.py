"""Published class confusions of MNIST, CIFAR-10 and CIFAR-100."""

# One superclass a line. CIFAR-100 numbers its classes by the alphabet.
_CIFAR100_SUPERCLASSES = """
beaver dolphin otter seal whale
aquarium_fish flatfish ray shark trout
orchid poppy rose sunflower tulip
bottle bowl can cup plate
apple mushroom orange pear sweet_pepper
clock keyboard lamp telephone television
bed chair couch table wardrobe
bee beetle butterfly caterpillar cockroach
bear leopard lion tiger wolf
bridge castle house road skyscraper
cloud forest mountain plain sea
camel cattle chimpanzee elephant kangaroo
fox porcupine possum raccoon skunk
crab lobster snail spider worm
baby boy girl man woman
crocodile dinosaur lizard snake turtle
hamster mouse rabbit shrew squirrel
maple_tree oak_tree palm_tree pine_tree willow_tree
bicycle bus motorcycle pickup_truck train
lawn_mower rocket streetcar tank tractor
"""


def _next_in_superclass():
    names = sorted(_CIFAR100_SUPERCLASSES.split())
    flips = {}
    for line in _CIFAR100_SUPERCLASSES.split("\n")[1:-1]:
        family = sorted(names.index(name) for name in line.split())
        flips.update(zip(family, family[1:] + family[:1], strict=True))
    return flips


# Number of classes, and the wrong class of each class that is confused.
CLASS_MAPS = {
    "mnist": (10, {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}),
    "cifar10": (10, {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}),
    "cifar100": (100, _next_in_superclass()),
}
