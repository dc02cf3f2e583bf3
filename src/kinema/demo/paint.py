"""Colour, easing, noise and sampling: the painter's box that all films share. Everything is float32 and vectorised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kinema.demo.lettering import Lettering

Array = npt.NDArray[Any]
"""float32 of any shape."""

# Bjoern Ottosson's OKLab (https://bottosson.github.io/posts/oklab/): mixing in it keeps gradients even to the eye.
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_LAB, _FROM_LMS = np.linalg.inv(_TO_LAB), np.linalg.inv(_TO_LMS)


def rgb(colour: str) -> Array:
    """'#rrggbb' as three sRGB values from 0 to 1."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def oklab(srgb: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """From sRGB (0 to 1) to OKLab, over the last axis."""
    values = np.asarray(srgb, np.float64)
    linear = np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4)
    lab: npt.NDArray[np.float64] = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    return lab


def srgb(lab: npt.ArrayLike) -> Array:
    """OKLab to sRGB, clipped to what a screen can show."""
    linear = (np.asarray(lab, np.float64) @ _FROM_LAB.T) ** 3 @ _FROM_LMS.T
    linear = np.clip(linear, 0, 1)
    values = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return values.astype(np.float32)


def ramp(stops: Sequence[tuple[float, str]], size: int = 1024) -> Array:
    """A gradient through the given (position, colour) stops as `size` sRGB rows, mixed in OKLab."""
    labs = oklab([rgb(colour) for _, colour in stops])
    positions = [position for position, _ in stops]
    at = np.linspace(positions[0], positions[-1], size)
    return srgb(np.stack([np.interp(at, positions, labs[:, channel]) for channel in range(3)], axis=1))


def span(t: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, and a smooth way between (smoothstep)."""
    u = min(1.0, max(0.0, (t - start) / (end - start)))
    return u * u * (3 - 2 * u)


def smooth(values: Array, low: float, high: float) -> Array:
    """`span` for arrays."""
    u = np.clip((values - low) * (1.0 / (high - low)), 0, 1)
    out: Array = u * u * (3 - 2 * u)
    return out


def clouds(height: int, width: int, rng: np.random.Generator, slope: float = 1.8, low: float = 1.0) -> Array:
    """Seamlessly repeating noise from 0 to 1 (mean 0.5) whose spectrum falls with frequency to the power of `slope`.

    `low` is the lowest frequency kept, in waves per picture height: raise it for smaller clouds.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    fy = np.fft.fftfreq(height)[:, None] * height
    fx = np.fft.rfftfreq(width)[None, :] * height
    frequency = np.hypot(fx, fy)
    field = np.fft.irfft2(np.where(frequency < low, 0, spectrum / np.maximum(frequency, low) ** slope), (height, width))
    deviation = float(field.std()) or 1.0
    out: Array = np.clip(0.5 + field / (deviation * 5), 0, 1).astype(np.float32)
    return out


def wander(count: int, rng: np.random.Generator, smoothness: float) -> Array:
    """A smooth random walk around 0 of about unit size, one value a frame, changing over about `smoothness` frames."""
    width = max(1, round(smoothness))
    kernel = np.hanning(2 * width + 3)
    steps = rng.standard_normal(count + len(kernel) - 1)
    walk = np.convolve(steps, kernel / np.sqrt((kernel**2).sum()), mode="valid")
    return walk.astype(np.float32)


def blur(field: Array, sigma: float) -> Array:
    """Gaussian blur with wrap-around, by Fourier transform; `sigma` in pixels."""
    rows, columns = field.shape
    fy = np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(rows)) ** 2)[:, None]
    fx = np.exp(-2 * (np.pi * sigma * np.fft.rfftfreq(columns)) ** 2)[None, :]
    out: Array = np.fft.irfft2(np.fft.rfft2(field) * (fy * fx), (rows, columns)).astype(np.float32)
    return out


class Sampler:
    """Bilinear look-up at fractional positions of repeating textures of one size; made once for all channels."""

    def __init__(self, rows: int, columns: int, y: Array, x: Array) -> None:
        floor_y, floor_x = np.floor(y), np.floor(x)
        y0, x0 = floor_y.astype(np.int32) % rows, floor_x.astype(np.int32) % columns
        fy, fx = (y - floor_y).astype(np.float32), (x - floor_x).astype(np.float32)
        below, right = np.where(y0 == rows - 1, y0 * 0, y0 + 1) * columns, np.where(x0 == columns - 1, x0 * 0, x0 + 1)
        above = y0 * columns
        self._places = (above + x0, above + right, below + x0, below + right)
        self._weights = ((1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx)

    def of(self, texture: Array) -> Array:
        """Return the texture's values at the positions."""
        flat = texture.ravel()
        out: Array = np.take(flat, self._places[0]) * self._weights[0]
        for place, weight in zip(self._places[1:], self._weights[1:], strict=True):
            out += np.take(flat, place) * weight
        return out


def sample(texture: Array, y: Array, x: Array) -> Array:
    """Values of one repeating texture at fractional positions (bilinear)."""
    return Sampler(texture.shape[0], texture.shape[1], y, x).of(texture)


def grid(height: int, width: int) -> tuple[Array, Array]:
    """Pixel centres as (y, x) in units of the picture's height; the origin is the picture's centre."""
    y = (np.arange(height, dtype=np.float32) + 0.5) / height - 0.5
    x = (np.arange(width, dtype=np.float32) + 0.5) / height - 0.5 * width / height
    return y[:, None], x[None, :]


def vignette(height: int, width: int, strength: float) -> Array:
    """A factor for each pixel, 1 in the centre and 1 - `strength` in the corners."""
    y, x = grid(height, width)
    reach = 0.25 * (1 + (width / height) ** 2)
    out: Array = 1 - strength * ((x * x + y * y) / reach) ** 1.2
    return out


def ink_over(picture: Array, text: Lettering, x: float, y: float, colour: str, alpha: float = 1.0) -> None:
    """Write lettering into a picture in place, its centre at (x, y) from 0 to 1; what does not fit is cut off."""
    blend(picture, text.mask() * alpha, x, y, rgb(colour))


def blend(picture: Array, mask: Array, x: float, y: float, colour: Array) -> None:
    """Mix `colour` into a picture in place where `mask`, centred on (x, y) from 0 to 1, says so."""
    rows, columns = picture.shape[:2]
    top, left = round(y * rows - mask.shape[0] / 2), round(x * columns - mask.shape[1] / 2)
    y0, y1 = max(0, top), min(rows, top + mask.shape[0])
    x0, x1 = max(0, left), min(columns, left + mask.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    part = mask[y0 - top : y1 - top, x0 - left : x1 - left, None]
    box = picture[y0:y1, x0:x1]
    box += (colour - box) * part


def splat(target: Array, y: Array, x: Array, weight: Array | float) -> None:
    """Add points to a field in place, each shared among its four nearest pixels; points outside are dropped."""
    rows, columns = target.shape
    y0, x0 = np.floor(y).astype(np.int32), np.floor(x).astype(np.int32)
    inside = (y0 >= 0) & (y0 < rows - 1) & (x0 >= 0) & (x0 < columns - 1)
    y0, x0 = y0[inside], x0[inside]
    fy, fx = (y[inside] - y0).astype(np.float32), (x[inside] - x0).astype(np.float32)
    amount = weight[inside] if isinstance(weight, np.ndarray) else np.float32(weight)
    flat = target.reshape(-1)
    base = y0 * columns + x0
    np.add.at(flat, base, amount * (1 - fy) * (1 - fx))
    np.add.at(flat, base + 1, amount * (1 - fy) * fx)
    np.add.at(flat, base + columns, amount * fy * (1 - fx))
    np.add.at(flat, base + columns + 1, amount * fy * fx)


def dither(height: int, width: int, rng: np.random.Generator) -> Array:
    """A tile of noise of half a step of 8 bits around 0.5 with little low frequency, against banding."""
    noise = rng.random((height, width), dtype=np.float32)
    high = noise - blur(noise, 1.2)
    out: Array = 0.5 + np.clip(high * 0.9, -0.5, 0.5)
    return out


def bytes8(picture: Array, noise: Array | None = None) -> npt.NDArray[np.uint8]:
    """To 8 bits a value, with `noise` (0 to 1, height x width) deciding which way a value is rounded."""
    scaled = np.clip(picture, 0, 1) * 255
    if noise is None:
        scaled += 0.5
    else:
        scaled += noise[..., None] if picture.ndim == 3 else noise
    out: npt.NDArray[np.uint8] = np.minimum(scaled, 255).astype(np.uint8)
    return out
