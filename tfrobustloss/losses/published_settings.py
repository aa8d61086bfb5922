"""The hyper-parameters that authors published, as tables: what `recommended` reads."""

APL = "HanxunH/Active-Passive-Losses, configs"
ALF = "hitcszx/ALFs, lnl/config.py"
ANL = "Virusdoll/Active-Negative-Loss, config"
JAL = "cswjl/joint-asymmetric-loss, config.py"
JS = "ErikEnglesson/GJS, scripts"
LNL_SR = "hitcszx/lnl_sr, main.py and config.py"
CORES = "UCSC-REAL/cores, loss.py"
EPS = "cswjl/eps-softmax, config.py"
PHUBER = "dmizr/phuber, README, which reproduces Menon et al. 2020"

# alpha and beta of (NCE or NFL) + (RCE, MAE)
ACTIVE_PASSIVE = {
    "mnist": ((1, 10), (1, 10)),
    "cifar10": ((1, 1), (1, 1)),
    "cifar100": ((10, 0.1), (10, 1)),
    "webvision": ((50, 0.1), (50, 1)),
}
SYMMETRIC = {  # alpha, beta, source
    "mnist": (0.01, 1, "YisenWang/symmetric_cross_entropy_for_noisy_labels"),
    "cifar10": (0.1, 1, "YisenWang/symmetric_cross_entropy_for_noisy_labels"),
    "cifar100": (6, 0.1, "YisenWang/symmetric_cross_entropy_for_noisy_labels"),
    "webvision": (10, 1, APL),
}
HUBERIZED = {"mnist": 10.0, "cifar10": 2.0, "cifar100": 10.0}  # tau
BI_TEMPERED = {"mnist": (0.5, 4.0), "cifar100": (0.8, 1.2)}
ASYMMETRIC = {  # alone: AGCE, AUL, AEL
    "mnist": ((4, 0.2), (3, 0.1), (3.5,)),
    "cifar10": ((0.6, 0.6), (5.5, 3), (2.5,)),
}
WITH_ASYMMETRIC = {  # with NCE: alpha, beta and their parameters
    "cifar10": ((1, 4, 6, 1.5), (1, 4, 6.3, 1.5), (1, 4, 5)),
    "cifar100": ((10, 0.1, 1.8, 3), (10, 0.015, 6, 3), (10, 0.1, 1.5)),
}
ACTIVE_NEGATIVE = {  # alpha, beta, source, weight of the penalty
    "mnist": (1, 1, ANL, "1e-6"),
    "cifar10": (5, 5, ANL, "5e-5"),
    "cifar100": (10, 1, ANL, "5e-7"),
    "webvision": (20, 1, ANL, "5e-6"),
}
JOINT = {  # alpha, beta, a, weight of the penalty
    "cifar10": (1, 1, 30, "5e-5"),
    "cifar100": (5, 1, 20, "5e-6"),
    "webvision": (50, 1, 30, None),
    "clothing1m": (5, 0.1, 5, None),
}
JENSEN_SHANNON = {  # pi by rate
    ("cifar10", "symmetric"): {0.0: 0.1, 0.2: 0.7, 0.4: 0.7, 0.6: 0.9, 0.8: 0.9},
    ("cifar10", "asymmetric"): {0.2: 0.3, 0.4: 0.3},
    ("cifar100", "symmetric"): {0.0: 0.1, 0.2: 0.1, 0.4: 0.3, 0.6: 0.5, 0.8: 0.3},
    ("cifar100", "asymmetric"): {0.2: 0.5, 0.4: 0.5},
}

NORMALIZED_Q = {"mnist": 0.1, "cifar10": 0.1, "cifar100": 0.7}
SPARSE = {  # temperature, exponent, weight, normalize; every so many epochs, growth
    ("mnist", "symmetric"): ((0.1, 0.1, 4.0, False), 5, 2),
    ("mnist", "asymmetric"): ((0.1, 0.1, 4.0, False), 5, 2),
    ("cifar10", "symmetric"): ((0.5, 0.1, 1.2, True), 1, 1.03),
    ("cifar10", "asymmetric"): ((0.5, 0.1, 1.2, True), 1, 1.03),
    ("cifar100", "symmetric"): ((0.5, 0.01, 4.0, True), 1, 1.02),
    ("cifar100", "asymmetric"): ((0.5, 0.01, 10.0, True), 1, 1.02),
}
EPSILON = {  # m, alpha, beta by rate; None for any
    ("cifar10", "symmetric"): {None: (1e5, 0.01, 5)},
    ("cifar10", "asymmetric"): {None: (1e3, 0.02, 5)},
    ("cifar100", "symmetric"): {
        0.0: (1e4, 0.1, 1),
        0.2: (1e4, 0.05, 1),
        0.4: (1e4, 0.03, 1),
        0.6: (1e4, 0.00125, 1),
        0.8: (1e4, 0.0075, 1),
    },
    ("cifar100", "asymmetric"): {
        0.1: (1e2, 0.015, 1),
        0.2: (1e2, 0.007, 1),
        0.3: (1e2, 0.005, 1),
        0.4: (1e2, 0.004, 1),
    },
    ("webvision", "real"): {None: (1e3, 0.015, 0.3)},
    ("clothing1m", "real"): {None: (1e3, 0.012, 0.1)},
}
ROBUST = {  # temperature of LDR, with a margin of .1
    "mnist": 10.0,
    "cifar10": 10.0,
    "cifar100": 1.0,
    "clothing1m": 1.0,
    "webvision": 1.0,
}
