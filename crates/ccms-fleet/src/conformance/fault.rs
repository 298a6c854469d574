//! How the server's part misbehaves: on which calls, in which way, how often.
use ccms_core::wire::envelope::ErrorCode;
use ccms_device::Kind;

use super::call::Call;

/// On which calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Everything,
    Kind(Kind),
    /// A status or a sync.
    Reports,
    /// What a device that has just been switched on can do without.
    ButConfigure,
    /// More than one reading.
    Bulk,
    /// The first single status that comes, and the same reading whenever it comes alone again.
    OneReading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// An error of the contract, and how long to wait, in seconds.
    Refuse(ErrorCode, u32),
    /// Nothing was heard, nothing comes.
    Silence,
    /// Taken in; the connection breaks before the answer.
    Lose,
    /// Taken in; answered so many seconds later.
    Late(u32),
    /// Answered twice.
    Twice,
}

#[derive(Debug, Clone)]
pub struct Fault {
    on: On,
    pub how: How,
    left: u32,
    reading: Option<(i64, String)>,
}

/// Until it is taken away.
pub const ALWAYS: u32 = u32::MAX;

impl Fault {
    pub fn new(on: On, how: How, times: u32) -> Self {
        Self { on, how, left: times, reading: None }
    }

    /// Whether it strikes this call; then it is one nearer its end.
    pub fn strikes(&mut self, call: &Call) -> bool {
        let fits = match self.on {
            On::Everything => true,
            On::Kind(kind) => call.is(kind),
            On::Reports => call.is_report(),
            On::ButConfigure => !call.is(Kind::Configure),
            On::Bulk => call.is_report() && call.said.readings.len() > 1,
            On::OneReading => match call.said.readings.as_slice() {
                [alone] if call.is(Kind::Status) => *self.reading.get_or_insert_with(|| alone.key.clone()) == alone.key,
                _ => false,
            },
        };
        let strikes = fits && self.left > 0;
        if strikes && self.left != ALWAYS {
            self.left -= 1;
        }
        strikes
    }
}
