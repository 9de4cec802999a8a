"""How far a share that was counted may be from the one behind it."""


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of which k of n were seen (Wilson 1927): 0 to 1 if n is 0."""
    z = 1.96
    middle, width = k + z * z / 2, z * (k * (n - k) / max(n, 1) + z * z / 4) ** 0.5
    return (middle - width) / (n + z * z), (middle + width) / (n + z * z)
