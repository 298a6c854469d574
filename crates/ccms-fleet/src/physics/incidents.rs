//! Things that happen now and then and last a while: a brown-out, an outage, a modem that drops. When, is a function of a seed
//! and the time. Time is cut into slots; in each at most one incident begins.
use super::noise;

/// Incidents of one kind in one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incidents {
    seed: u64,
    slot_s: f64,
    /// That one begins in a slot.
    probability: f64,
    length_s: (f64, f64),
}

/// The one that is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// In seconds of the same time as the question.
    pub from_s: f64,
    pub until_s: f64,
    /// How bad it is: 0 to 1.
    pub strength: f64,
}

impl Incidents {
    /// `per_day` on average (up to one in the time that the longest one lasts), each between the two lengths.
    pub fn new(seed: u64, per_day: f64, length_s: (f64, f64)) -> Self {
        let slot_s = length_s.1.max(60.0);
        Self { seed, slot_s, probability: (per_day * slot_s / 86_400.0).clamp(0.0, 1.0), length_s }
    }

    pub fn never() -> Self {
        Self::new(0, 0.0, (60.0, 60.0))
    }

    /// The incident at a moment. It began in this slot or reaches over from the one before.
    pub fn at(&self, now_s: f64) -> Option<Incident> {
        if self.probability <= 0.0 {
            return None;
        }
        let slot = (now_s / self.slot_s).floor() as i64;
        [slot, slot - 1].into_iter().filter_map(|s| self.of_slot(s)).find(|i| (i.from_s..i.until_s).contains(&now_s))
    }

    fn of_slot(&self, slot: i64) -> Option<Incident> {
        let seed = noise::hash(self.seed, slot);
        if noise::unit(seed, 0) >= self.probability {
            return None;
        }
        let from_s = (slot as f64 + noise::unit(seed, 1)) * self.slot_s;
        let length_s = self.length_s.0 + noise::unit(seed, 2) * (self.length_s.1 - self.length_s.0);
        Some(Incident { from_s, until_s: from_s + length_s, strength: noise::unit(seed, 3) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_as_often_and_last_as_long_as_said() {
        let incidents = Incidents::new(11, 4.0, (120.0, 1_200.0));
        let (days, step_s) = (400, 10.0);
        let (mut begun, mut inside) = (0, 0.0);
        let mut last = None;
        for n in 0..days * 8_640 {
            let now = incidents.at(f64::from(n) * step_s);
            if let Some(i) = now {
                inside += step_s;
                assert!((120.0..=1_200.0).contains(&(i.until_s - i.from_s)) && (0.0..1.0).contains(&i.strength));
            }
            begun += i32::from(now.is_some() && now != last);
            last = now;
        }
        let (per_day, mean_s) = (f64::from(begun) / f64::from(days), inside / f64::from(begun));
        assert!((3.7..4.3).contains(&per_day), "{per_day}");
        assert!((600.0..720.0).contains(&mean_s), "{mean_s}");
        assert_eq!(Incidents::never().at(5.0), None);
    }

    #[test]
    fn the_rate_does_not_change_when_the_others_begin() {
        let (few, many) = (Incidents::new(5, 1.0, (60.0, 600.0)), Incidents::new(5, 10.0, (60.0, 600.0)));
        // Whatever happens at a low rate happens at a higher one too.
        let only_few =
            (0..100_000).filter(|n| few.at(f64::from(*n) * 10.0).is_some() && many.at(f64::from(*n) * 10.0).is_none());
        assert_eq!(only_few.count(), 0);
    }
}
