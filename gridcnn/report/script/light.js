/* Light: how brightness falls off over a picture, as a quadratic surface through its paper. It is
   that of `adapters/light.py`. A surface has for each plane six factors: of 1, x, y, x * x, x * y
   and y * y, where x and y go from -1 to 1. */
"use strict";

(() => {
  const NEAR = [64, 32, 16]; // distances within which pixels are paper, as its surface gets better
  const ENOUGH = 64; // reduced pixels of paper from which a surface can be told

  /* The middle of part `i` of `count` equal parts of what lies from `low` to `high`. */
  function centre(low, high, count, i) {
    return (i + 0.5) * ((high - low) / count) + low;
  }

  function height(factors, x, y) {
    return factors[0] + factors[1] * x + factors[2] * y + factors[3] * x * x + factors[4] * x * y
      + factors[5] * y * y;
  }

  /* Return the surface of a picture's paper by least squares, without the ink; `colour` is that of
     the paper, to start from. */
  function surfaceOf(picture, colour) {
    const { width, height: rows, planes } = picture;
    const terms = [];
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < width; column += 1) {
        const x = centre(-1, 1, width, column);
        const y = centre(-1, 1, rows, row);
        terms.push([1, x, y, x * x, x * y, y * y]);
      }
    }
    let surface = planes.map((_, channel) => [colour[channel], 0, 0, 0, 0, 0]);
    for (const near of NEAR) {
      const chosen = [];
      terms.forEach((term, i) => {
        const apart = surface.map((factors, channel) => Math.abs(
          planes[channel][i] - term.reduce((sum, each, k) => sum + each * factors[k], 0),
        ));
        if (Math.max(...apart) < near) chosen.push(i);
      });
      if (chosen.length < ENOUGH) break;
      surface = planes.map((plane) => leastSquares(terms, plane, chosen));
    }
    return surface;
  }

  function leastSquares(terms, plane, chosen) {
    const system = Array.from({ length: 6 }, (_, i) => Array.from({ length: 7 }, (__, j) => {
      let sum = i === j ? 1e-6 : 0;
      for (const at of chosen) sum += terms[at][i] * (j < 6 ? terms[at][j] : plane[at]);
      return sum;
    }));
    return solve(system);
  }

  /* Solve linear equations: rows of factors, each with its right side last. */
  function solve(system) {
    const count = system.length;
    for (let i = 0; i < count; i += 1) {
      let pivot = i;
      for (let j = i + 1; j < count; j += 1) {
        if (Math.abs(system[j][i]) > Math.abs(system[pivot][i])) pivot = j;
      }
      [system[i], system[pivot]] = [system[pivot], system[i]];
      for (let j = 0; j < count; j += 1) {
        if (j === i) continue;
        const factor = system[j][i] / system[i][i];
        for (let k = i; k <= count; k += 1) system[j][k] -= factor * system[i][k];
      }
    }
    return system.map((row, i) => row[count] / row[i]);
  }

  gridcnn.light = { centre, height, surfaceOf };
})();
