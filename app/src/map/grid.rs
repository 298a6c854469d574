//! Which lights are in a rectangle, which is nearest to a point: a grid over the fleet's bounds, two flat arrays. Pure.
//! Finding one light among 100,000 takes microseconds; making the grid takes milliseconds and is needed when places change.

/// Lights a cell holds on average.
const LIGHTS_PER_CELL: usize = 4;
const SIDE_MAX: usize = 1024;

#[derive(Debug, Clone, Default)]
pub struct Grid {
    left: f64,
    top: f64,
    /// Cells per unit of the world.
    per_x: f64,
    per_y: f64,
    columns: usize,
    rows: usize,
    /// Where each cell's lights start in `items`; one more at the end.
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Grid {
    pub fn new(x: &[f64], y: &[f64]) -> Self {
        let Some((left, right)) = range(x) else { return Self::default() };
        let Some((top, bottom)) = range(y) else { return Self::default() };
        let side = (((x.len() / LIGHTS_PER_CELL) as f64).sqrt().ceil() as usize).clamp(1, SIDE_MAX);
        let per = |from: f64, to: f64| if to > from { side as f64 / (to - from) } else { 0.0 };
        let mut grid = Self {
            left,
            top,
            per_x: per(left, right),
            per_y: per(top, bottom),
            columns: side,
            rows: side,
            ..Self::default()
        };

        let cells: Vec<usize> = x.iter().zip(y).map(|(x, y)| grid.cell(*x, *y)).collect();
        grid.starts = vec![0; side * side + 1];
        cells.iter().for_each(|c| grid.starts[c + 1] += 1);
        (0..side * side).for_each(|c| grid.starts[c + 1] += grid.starts[c]);
        let mut next = grid.starts.clone();
        grid.items = vec![0; x.len()];
        for (i, c) in cells.into_iter().enumerate() {
            grid.items[next[c] as usize] = i as u32;
            next[c] += 1;
        }
        grid
    }

    fn column(&self, x: f64) -> usize {
        (((x - self.left) * self.per_x).max(0.0) as usize).min(self.columns - 1)
    }

    fn row(&self, y: f64) -> usize {
        (((y - self.top) * self.per_y).max(0.0) as usize).min(self.rows - 1)
    }

    fn cell(&self, x: f64, y: f64) -> usize {
        self.row(y) * self.columns + self.column(x)
    }

    /// Calls `each` with every light that may be inside `[x0, y0, x1, y1]`: all that are, and some beside it.
    pub fn near(&self, [x0, y0, x1, y1]: [f64; 4], mut each: impl FnMut(usize)) {
        if self.items.is_empty() {
            return;
        }
        let (c0, c1) = (self.column(x0), self.column(x1));
        for row in self.row(y0)..=self.row(y1) {
            let cells = row * self.columns + c0..row * self.columns + c1 + 1;
            let (from, to) = (self.starts[cells.start] as usize, self.starts[cells.end] as usize);
            self.items[from..to].iter().for_each(|i| each(*i as usize));
        }
    }

    /// The light nearest to a point, no farther than `reach` of the world, among those that `takes`.
    pub fn nearest(
        &self,
        xs: &[f64],
        ys: &[f64],
        (x, y): (f64, f64),
        reach: f64,
        takes: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut best = None;
        let mut best_distance = reach * reach;
        self.near([x - reach, y - reach, x + reach, y + reach], |i| {
            let distance = (xs[i] - x).powi(2) + (ys[i] - y).powi(2);
            if distance <= best_distance && takes(i) {
                (best, best_distance) = (Some(i), distance);
            }
        });
        best
    }
}

fn range(values: &[f64]) -> Option<(f64, f64)> {
    let first = *values.first()?;
    Some(values.iter().fold((first, first), |(low, high), v| (low.min(*v), high.max(*v))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scattered(n: usize) -> (Vec<f64>, Vec<f64>) {
        let mut seed = 1_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f64 / (1_u64 << 24) as f64
        };
        ((0..n).map(|_| next()).collect(), (0..n).map(|_| next()).collect())
    }

    #[test]
    fn finds_what_a_search_of_all_finds() {
        let (x, y) = scattered(5_000);
        let grid = Grid::new(&x, &y);
        for (px, py) in [(0.5, 0.5), (0.001, 0.99), (0.77, 0.13), (1.5, -0.5)] {
            let all = (0..x.len())
                .filter(|i| (x[*i] - px).hypot(y[*i] - py) <= 0.02)
                .min_by(|a, b| (x[*a] - px).hypot(y[*a] - py).total_cmp(&(x[*b] - px).hypot(y[*b] - py)));
            assert_eq!(grid.nearest(&x, &y, (px, py), 0.02, |_| true), all);
        }
    }

    #[test]
    fn a_rectangle_holds_all_its_lights() {
        let (x, y) = scattered(3_000);
        let grid = Grid::new(&x, &y);
        let r = [0.2, 0.3, 0.4, 0.35];
        let mut found = Vec::new();
        grid.near(r, |i| found.push(i));
        let inside = (0..x.len()).filter(|i| x[*i] >= r[0] && x[*i] <= r[2] && y[*i] >= r[1] && y[*i] <= r[3]);
        inside.for_each(|i| assert!(found.contains(&i)));
        assert!(found.len() < 3_000 / 10);
    }

    #[test]
    fn no_light_one_light_and_lights_on_one_pole_are_fine() {
        assert_eq!(Grid::new(&[], &[]).nearest(&[], &[], (0.5, 0.5), 1.0, |_| true), None);
        let (x, y) = ([0.5; 3], [0.5; 3]);
        let grid = Grid::new(&x, &y);
        assert!(grid.nearest(&x, &y, (0.5, 0.5), 0.1, |_| true).is_some());
        assert_eq!(grid.nearest(&x, &y, (0.5, 0.5), 0.1, |i| i == 1), Some(1));
        assert_eq!(grid.nearest(&x, &y, (0.9, 0.5), 0.1, |_| true), None);
    }
}
