"""Names of scores: a score that depends on how many images it was computed from says so in its name."""

from __future__ import annotations


def with_count(name: str, num_images: int) -> str:
    """The name with the image count, thousands as k.

    Example:
        >>> with_count("generation_score", 5000), with_count("accuracy", 750)
        ('generation_score_5k', 'accuracy_750')
    """
    short = f"{num_images // 1000}k" if num_images and num_images % 1000 == 0 else str(num_images)
    return f"{name}_{short}"
