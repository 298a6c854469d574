//! What other systems are told of beside lights: every step in the life of a command, and of an alert. Each goes with the change
//! of the feed that published it, as it was then; who may hear it is asked when it is sent.
use ccms_core::command::Command;
use ccms_core::view::{AlertView, CommandView};
use ccms_store::AlertRecord;

use crate::ccms::Ccms;
use crate::permission::Who;
use crate::queries::command_view;

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// A command came to the state that it is in here.
    Command(Box<Command>),
    Alert(AlertStep, Box<AlertRecord>),
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStep {
    Opened,
    Repeated,
    Acknowledged,
    Resolved,
}

impl AlertStep {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Repeated => "repeated",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// Something that happened, for one who may hear it.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Command(Box<CommandView>),
    Alert(AlertStep, Box<AlertView>),
}

impl Ccms {
    /// `None` when it is not theirs to hear.
    pub(crate) fn told(&self, who: Who<'_>, happening: &Happening) -> Option<Told> {
        match happening {
            Happening::Command(command) => {
                let light = self.seen_light(who, command.light_no)?;
                Some(Told::Command(Box::new(command_view(command, &light))))
            }
            Happening::Alert(step, alert) => {
                let seen = self.sees_alert(who, alert);
                seen.then(|| Told::Alert(*step, Box::new(self.alert_view((**alert).clone()))))
            }
        }
    }
}
