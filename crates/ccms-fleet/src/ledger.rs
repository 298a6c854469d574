//! What the server acknowledged, one line per reading: `light_id,timestamp_ms,seq`. Written after the 200, so that every
//! line here must be found in the database, whatever happened to the server since.
use ccms_device::Delivered;

use crate::appender::Pen;

#[derive(Debug, Clone)]
pub struct Ledger(Pen);

impl Ledger {
    pub fn new(pen: Pen) -> Self {
        Self(pen)
    }

    pub fn note(&self, delivered: &Delivered) {
        for (at, seq) in &delivered.readings {
            self.0.line(format!("{},{},{seq}", delivered.light_id, at.0));
        }
    }
}
