//! A line on the map and the lamps along it. Between two crossings lamps stand evenly, half a distance from each crossing, so
//! that the next one is as far away across a crossing as along a block.

/// Distance that lamps should have. What comes out between two crossings is 25 to 40 m.
const LAMP_M: f64 = 32.0;
/// Lamps of a lane stand on one side of it, those of a main road in turn left and right.
pub const LANE_KERB_M: f64 = 4.0;
pub const MAIN_KERB_M: f64 = 4.5;

#[derive(Debug, Clone)]
pub struct Road {
    line: Vec<(f64, f64)>,
    /// How far along each point is.
    along_m: Vec<f64>,
    /// Crossings and ends, how far along.
    cuts_m: Vec<f64>,
    /// The part that has lamps.
    lit_m: (f64, f64),
    kerb_m: f64,
    in_turn: bool,
}

/// A lamp beside a road.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoadLamp {
    pub at: (f64, f64),
    /// The point of the road that it stands beside.
    pub axis: (f64, f64),
    pub along_m: f64,
}

impl Road {
    /// `cuts` are indices into the line where others cross it; its ends are taken for crossings too.
    pub fn main(line: Vec<(f64, f64)>, cuts: &[usize]) -> Self {
        let mut along_m = vec![0.0];
        for pair in line.windows(2) {
            let step_m = (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
            along_m.push(along_m[along_m.len() - 1] + step_m);
        }
        let cuts_m = cuts.iter().map(|i| along_m[*i]).collect();
        Self { line, along_m, cuts_m, lit_m: (f64::MIN, f64::MAX), kerb_m: MAIN_KERB_M, in_turn: true }
    }

    /// A straight lane with crossings so far along it, of which a part has lamps.
    pub fn lane(from: (f64, f64), to: (f64, f64), cuts_m: Vec<f64>, lit_m: (f64, f64)) -> Self {
        let length_m = (to.0 - from.0).hypot(to.1 - from.1);
        Self { line: vec![from, to], along_m: vec![0.0, length_m], cuts_m, lit_m, kerb_m: LANE_KERB_M, in_turn: false }
    }

    pub fn line(&self) -> &[(f64, f64)] {
        &self.line
    }

    /// Where lamps stand between crossings.
    fn stands_m(cuts_m: &[f64]) -> impl Iterator<Item = f64> {
        cuts_m.windows(2).flat_map(|block| {
            let length_m = block[1] - block[0];
            let lamps = (length_m / LAMP_M).round() as usize;
            (0..lamps).map(move |n| block[0] + length_m * (n as f64 + 0.5) / lamps as f64)
        })
    }

    pub fn lamps(&self) -> impl Iterator<Item = RoadLamp> {
        let is_lit = |along_m: &f64| (self.lit_m.0..=self.lit_m.1).contains(along_m);
        Self::stands_m(&self.cuts_m).filter(is_lit).enumerate().map(move |(n, along_m)| {
            let side = if self.in_turn && n % 2 == 1 { -1.0 } else { 1.0 };
            let (axis, (dx, dy)) = self.point(along_m);
            let at = (axis.0 - dy * side * self.kerb_m, axis.1 + dx * side * self.kerb_m);
            RoadLamp { at, axis, along_m }
        })
    }

    /// A point of the line, and its direction there.
    fn point(&self, along_m: f64) -> ((f64, f64), (f64, f64)) {
        let next = self.along_m.partition_point(|a| *a <= along_m).clamp(1, self.line.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.line[next - 1], self.line[next]);
        let (dx, dy) = (x1 - x0, y1 - y0);
        let length_m = dx.hypot(dy).max(f64::MIN_POSITIVE);
        let t = (along_m - self.along_m[next - 1]) / length_m;
        ((x0 + dx * t, y0 + dy * t), (dx / length_m, dy / length_m))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn distances_are_25_to_40_m_along_and_across_crossings(blocks in prop::collection::vec(60.0..400.0, 1..12)) {
            let cuts: Vec<f64> = std::iter::once(0.0)
                .chain(blocks.iter().scan(0.0, |at, length| { *at += length; Some(*at) }))
                .collect();
            let stands: Vec<f64> = Road::stands_m(&cuts).collect();
            prop_assert!(stands.windows(2).all(|w| (25.0..=40.0).contains(&(w[1] - w[0]))), "{stands:?}");
            prop_assert!(cuts.iter().all(|c| stands.iter().all(|s| (s - c).abs() >= 12.5)), "room at every crossing");
        }
    }

    #[test]
    fn lamps_stand_beside_the_road() {
        let road = Road::lane((0.0, 0.0), (100.0, 0.0), vec![0.0, 100.0, 200.0], (0.0, 100.0));
        let lamps: Vec<RoadLamp> = road.lamps().collect();
        assert_eq!(lamps.len(), 3);
        assert!(lamps.iter().all(|l| l.axis.1 == 0.0 && (l.at.1 - LANE_KERB_M).abs() < 1e-9));
        let main = Road::main(vec![(0.0, 0.0), (50.0, 0.0), (100.0, 0.0)], &[0, 2]);
        let sides: Vec<bool> = main.lamps().map(|l| l.at.1 > 0.0).collect();
        assert_eq!(sides, [true, false, true]);
    }
}
