//! Lights of a far zoom, gathered into the cells of a fixed grid over the world, so that panning never regroups them. Pure.
use std::collections::BTreeMap;

use ccms_core::light::Indicator;
use ccms_core::snapshot::MarkState;

use super::projection::world_px;

/// Side of a cell on the screen.
const CELL_PX: f64 = 76.0;

/// Lights that stand together at this zoom.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cluster {
    /// The middle of its lights.
    pub x: f64,
    pub y: f64,
    /// In the order of [`Indicator::ALL`].
    pub by_indicator: [u32; 4],
    /// The only light, when there is one.
    pub single: Option<usize>,
    /// `[x0, y0, x1, y1]` around its lights.
    pub bounds: [f64; 4],
}

impl Cluster {
    pub fn count(&self) -> u32 {
        self.by_indicator.iter().sum()
    }
}

/// Groups the lights that `lights` names.
pub fn clusters(
    x: &[f64],
    y: &[f64],
    state: &[MarkState],
    zoom: f64,
    lights: impl Iterator<Item = usize>,
) -> Vec<Cluster> {
    let per_world = world_px(zoom.floor()) / CELL_PX;
    let mut cells = BTreeMap::<(i64, i64), Cluster>::new();
    for i in lights {
        let key = ((x[i] * per_world).floor() as i64, (y[i] * per_world).floor() as i64);
        let cell = cells
            .entry(key)
            .or_insert(Cluster { bounds: [f64::MAX, f64::MAX, f64::MIN, f64::MIN], ..Cluster::default() });
        cell.single = (cell.count() == 0).then_some(i);
        cell.by_indicator[slot(state[i].indicator())] += 1;
        cell.x += x[i];
        cell.y += y[i];
        let [x0, y0, x1, y1] = cell.bounds;
        cell.bounds = [x0.min(x[i]), y0.min(y[i]), x1.max(x[i]), y1.max(y[i])];
    }
    cells
        .into_values()
        .map(|cell| {
            let n = f64::from(cell.count());
            Cluster { x: cell.x / n, y: cell.y / n, ..cell }
        })
        .collect()
}

pub const fn slot(indicator: Indicator) -> usize {
    match indicator {
        Indicator::Green => 0,
        Indicator::Yellow => 1,
        Indicator::Red => 2,
        Indicator::Gray => 3,
    }
}

/// Radius of a donut in pixels: grows with the logarithm of its count.
pub fn radius_px(count: u32) -> f64 {
    (11.0 + 4.5 * f64::from(count.max(1)).log10()).min(30.0)
}

/// A count that fits in a donut.
pub fn short_count(count: u32) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..10_000 => format!("{:.1}k", f64::from(count) / 1_000.0),
        _ => format!("{}k", count / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_lights_gather_and_far_ones_stay_alone() {
        let x = [0.5, 0.500_001, 0.7];
        let y = [0.5, 0.500_001, 0.5];
        let green = MarkState::new(Indicator::Green, None, false);
        let red = MarkState::new(Indicator::Red, None, false);
        let found = clusters(&x, &y, &[green, red, green], 12.0, 0..3);
        assert_eq!(found.len(), 2);
        let pair = found.iter().find(|c| c.count() == 2).copied().unwrap_or_default();
        assert_eq!(pair.by_indicator, [1, 0, 1, 0]);
        assert_eq!(pair.single, None);
        assert!((pair.x - 0.500_000_5).abs() < 1e-9);
        assert!(found.iter().any(|c| c.single == Some(2)));
    }

    #[test]
    fn counts_fit() {
        assert_eq!([short_count(7), short_count(1_204), short_count(12_345)], ["7", "1.2k", "12k"]);
        assert!(radius_px(1) < radius_px(1_000) && radius_px(u32::MAX) <= 30.0);
    }
}
