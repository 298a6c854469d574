//! What stands on the other side of the wire: who answers requests, what can be done to it, and what it holds in the end.
use std::future::Future;

use ccms_core::command::CommandKind;
use ccms_core::ids::CommandId;
use ccms_core::time::UtcMillis;
use serde::{Deserialize, Serialize};

use super::rules::{Request, Response};

/// What people and misfortunes do to a server.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Somebody switches the light of a device.
    Order { device: usize, kind: CommandKind },
    /// It stops in order and starts again.
    Restart,
    /// It loses its memory and starts again on what is on disk.
    Crash,
    /// Its keys for tokens are replaced.
    RotateKeys,
    /// Somebody lets a device claim its place anew.
    AllowReclaim { device: usize },
}

/// A reading that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub device: usize,
    pub at: UtcMillis,
    pub seq: Option<u32>,
}

/// A command as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldCommand {
    pub id: String,
    /// Still to be done, as far as the server knows.
    pub is_live: bool,
}

/// Everything that it holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Holdings {
    pub readings: Vec<Held>,
    pub commands: Vec<HeldCommand>,
    /// How many entries the audit log has, or what is wrong with its chain; `None` where there is no such log.
    pub audit: Option<Result<u64, String>>,
}

pub trait Server {
    /// An answer to a request at its time.
    fn answers(&mut self, request: Request) -> impl Future<Output = Response>;

    /// Does it. Of an order the id of the command that it became; nothing when there is nobody to order yet.
    fn does(&mut self, at: UtcMillis, deed: &Deed) -> impl Future<Output = Option<CommandId>>;

    /// The reading that is shown of each device's light.
    fn shows(&mut self, at: UtcMillis) -> impl Future<Output = Vec<Held>>;

    fn holds(&mut self, at: UtcMillis) -> impl Future<Output = Holdings>;
}
