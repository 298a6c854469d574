//! What lights said last within one second.
use std::cmp::Ordering;
use std::collections::HashMap;

use ccms_block::second_of;
use ccms_core::ids::LightNo;
use ccms_store::ReadingRow;

/// Lights of one generation of [`Recent`].
const RECENT_LIGHTS: usize = 8_192;

/// The greatest dedupe key that a light has in its newest second, of lights that reported lately. Whatever is greater is not
/// there yet: devices count seconds, and one that reports twice within one would otherwise be looked up on disk.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    young: HashMap<LightNo, Top>,
    old: HashMap<LightNo, Top>,
}

/// No reading of this second has a greater dedupe key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Top {
    pub second: u32,
    pub dedupe: i64,
}

impl Top {
    /// With one more reading of a light whose newest second was `newest`.
    pub fn after(top: Option<Self>, newest: u32, row: &ReadingRow) -> Option<Self> {
        let second = second_of(row);
        match second.cmp(&newest) {
            Ordering::Greater => Some(Self { second, dedupe: row.dedupe }),
            Ordering::Equal => top.map(|top| Self { dedupe: top.dedupe.max(row.dedupe), ..top }),
            Ordering::Less => top,
        }
    }
}

impl Recent {
    pub fn of(&self, light: LightNo) -> Option<Top> {
        self.young.get(&light).or_else(|| self.old.get(&light)).copied()
    }

    pub fn set(&mut self, light: LightNo, top: Top) {
        if self.young.len() >= RECENT_LIGHTS {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(light, top);
    }

    /// Readings were stored that it does not know of.
    pub fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceNo;
    use ccms_core::reading::Reading;
    use ccms_core::time::UtcMillis;

    use super::*;

    fn row(second: i64, dedupe: i64) -> ReadingRow {
        let at = UtcMillis(second * 1_000);
        let reading = Reading { reported_at: at, ..Reading::default() };
        ReadingRow { light_no: LightNo(1), device_no: DeviceNo(1), received_at: at, dedupe, reading }
    }

    #[test]
    fn the_greatest_key_is_that_of_the_newest_second() {
        let second = second_of(&row(100, 0));
        let top = Top::after(None, second - 30, &row(100, 5));
        assert_eq!(top, Some(Top { second, dedupe: 5 }));
        let top = Top::after(top, second, &row(100, 3));
        assert_eq!(top, Some(Top { second, dedupe: 5 }));
        let top = Top::after(top, second, &row(100, 9));
        assert_eq!(top, Some(Top { second, dedupe: 9 }));
        assert_eq!(Top::after(top, second, &row(70, 11)), top, "a late one says nothing of this second");
        assert_eq!(Top::after(None, second, &row(100, 9)), None, "what was before in this second is not known");
    }

    #[test]
    fn it_remembers_those_that_reported_lately_and_no_more() {
        let mut recent = Recent::default();
        let top = Top { second: 7, dedupe: 1 };
        for n in 0..3 * RECENT_LIGHTS as u32 {
            recent.set(LightNo(n), top);
        }
        assert!(recent.young.len() + recent.old.len() <= 2 * RECENT_LIGHTS);
        assert_eq!(recent.of(LightNo(3 * RECENT_LIGHTS as u32 - 1)), Some(top));
        assert_eq!(recent.of(LightNo(0)), None);
        recent.set(LightNo(2 * RECENT_LIGHTS as u32 - 1), Top { dedupe: 2, ..top });
        assert_eq!(
            recent.of(LightNo(2 * RECENT_LIGHTS as u32 - 1)).map(|t| t.dedupe),
            Some(2),
            "the later word counts"
        );
        recent.forget();
        assert_eq!(recent.of(LightNo(3 * RECENT_LIGHTS as u32 - 1)), None);
    }
}
