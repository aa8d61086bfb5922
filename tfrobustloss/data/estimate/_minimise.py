"""Minimum of a smooth function, so that `data` needs numpy alone."""

import numpy as np


def minimise(function, start, iterations=300, tolerance=1e-7, memory=10):
    """L-BFGS with steps halved until the function falls enough.

    Args:
        function: From a flat float64 array to the value there and its gradient.
        start: Flat float64 array.
        iterations: Most steps taken.
        tolerance: Ends where a step gains less than this, relative to 1 and the value.
        memory: Number of last steps that the curvature is taken from.

    Returns:
        The best point found, and whether it was left for want of iterations.

    Reference:
        Nocedal, Wright, "Numerical Optimization", 2006, algorithm 7.5.
    """
    point = np.array(start, np.float64)
    value, gradient = function(point)
    steps, changes = [], []
    for _ in range(iterations):
        direction = -_curved(gradient, steps, changes)
        slope = direction @ gradient
        if slope >= 0:  # numbers too close to trust the curvature
            steps, changes, direction = [], [], -gradient
            slope = direction @ gradient
        if slope == 0:
            return point, True
        scale = 1.0 if steps else min(1.0, 1 / np.linalg.norm(gradient))
        for _ in range(40):
            next_value, next_gradient = function(point + scale * direction)
            if next_value <= value + 1e-4 * scale * slope:  # Armijo; false for NaN
                break
            scale /= 2
        else:
            return point, True
        step, change = scale * direction, next_gradient - gradient
        gain = value - next_value
        point, value, gradient = point + step, next_value, next_gradient
        if step @ change > 1e-12 * (change @ change):
            steps, changes = [*steps, step][-memory:], [*changes, change][-memory:]
        if gain <= tolerance * max(1.0, abs(value)):
            return point, True
    return point, False


def _curved(gradient, steps, changes):
    """The gradient times the inverse curvature of the last steps."""
    if not steps:
        return gradient
    result, weights = gradient.copy(), []
    for step, change in zip(reversed(steps), reversed(changes), strict=True):
        weight = step @ result / (step @ change)
        weights.append(weight)
        result -= weight * change
    result *= steps[-1] @ changes[-1] / (changes[-1] @ changes[-1])
    pairs = zip(steps, changes, reversed(weights), strict=True)
    for step, change, weight in pairs:
        result += (weight - change @ result / (step @ change)) * step
    return result
