//! What the engines are asked to do: random, over so few people, devices and lights that they meet all the time.
use ccms_core::command::CommandKind;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_store::contract::samples;
use ccms_store::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

pub mod found;
mod records;

use records::{archived_day, change, checkpoint_row, kind, new_device, raise, reading, rolled_day, sealed_day, step};
pub use records::{command_id, day};

#[derive(Debug, Clone)]
pub enum Operation {
    CreateUser(NewUser),
    ChangeUser {
        email: String,
        role: Role,
        zone: Option<String>,
    },
    ChangePassword {
        email: String,
        hash: String,
    },
    Session {
        id: u8,
        of: Option<String>,
        ends: i64,
        create: bool,
    },
    DeleteSession(u8),
    DeleteSessionsOf(String),
    ExpireSessions(i64),
    CreateKey {
        name: String,
        hash: u8,
    },
    RevokeKey {
        name: String,
        at: i64,
    },
    Remember {
        key: String,
        answer: RememberedAnswer,
    },
    Forget(i64),
    Register(NewDevice),
    NotePending(PendingNote),
    ForgetPending {
        before: i64,
        attempts: u32,
    },
    OpenWindow {
        device: u32,
        until: i64,
    },
    Claim(u32),
    SaveReported {
        device: u32,
        version: u8,
    },
    UseToken {
        device: u32,
        generation: i64,
    },
    Revoke {
        device: u32,
        at: i64,
    },
    Release {
        device: u32,
        until: Option<i64>,
    },
    OpenReclaim {
        device: u32,
        until: i64,
    },
    Reclaim {
        device: u32,
        at: i64,
    },
    Swap {
        old: u32,
        new: u32,
        at: i64,
    },
    Curate(Vec<CurationStep>),
    Outage {
        from: i64,
        until: i64,
    },
    Append(Vec<ReadingRow>),
    /// So much further than the one before.
    Checkpoint {
        ahead: i64,
        rows: Vec<CheckpointRow>,
    },
    /// Everything that has a day leaves the log. A part would not do: of what is sealed in between, the engines know different parts again.
    ForgetHot,
    ForgetSuspect(i64),
    Seal(Vec<(SealedDay, RolledDay)>),
    RollUp(Vec<RolledDay>),
    /// The first open part, at its revision and so many.
    Daily {
        later: i64,
        body: Vec<u8>,
    },
    Archive(ArchivedDay),
    Archived {
        day: i32,
        revision: u32,
        step: ArchiveStep,
    },
    Log {
        device: u32,
        text: String,
        keep: u32,
    },
    Quarantine {
        device: u32,
        items: Vec<Quarantined>,
        keep: u32,
    },
    Firmware(FirmwareReport),
    Enqueue(Vec<Order>),
    /// These two mean one that is alive, if any is.
    Cancel {
        id: u8,
        at: i64,
    },
    Change(Vec<CommandChange>),
    Raise(AlertRaise),
    MoveAlert {
        no: i64,
        to: AlertState,
        at: i64,
    },
    Read {
        light: u32,
        from: i64,
        to: i64,
        limit: u32,
    },
    Ask(AlertQuery),
}

/// What becomes of a day whose readings are in a file.
#[derive(Debug, Clone, Copy)]
pub enum ArchiveStep {
    /// Its blocks, but for the first so many.
    ForgetSealed(usize),
    Keep(i64),
    MarkRestored,
    EndKeeping(i64),
    ForgetFile,
}

/// A command of whatever controller drives the light then.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: u8,
    pub light: u32,
    pub kind: CommandKind,
    pub at: i64,
}

fn people() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let email = || "[aAbäÄ]{1,2}@x";
    let answer = (any::<u8>(), 200..500_u16, 0..50_i64).prop_map(|(request, status, at)| RememberedAnswer {
        request: [request; 32],
        status,
        body: format!("{{\"n\":{request}}}"),
        at: samples::at(at),
    });
    prop_oneof![
        email().prop_map(|email| CreateUser(samples::user(&email))),
        (email(), select(Role::ALL.to_vec()), of("[ns]")).prop_map(|(email, role, zone)| ChangeUser {
            email,
            role,
            zone
        }),
        (email(), "[a-z]{3}").prop_map(|(email, hash)| ChangePassword { email, hash }),
        (0..4_u8, of(email()), 0..20_i64, any::<bool>()).prop_map(|(id, of, ends, create)| Session {
            id,
            of,
            ends,
            create
        }),
        (0..4_u8).prop_map(DeleteSession),
        email().prop_map(DeleteSessionsOf),
        (0..20_i64).prop_map(ExpireSessions),
        ("[abc]", any::<u8>()).prop_map(|(name, hash)| CreateKey { name, hash }),
        ("[abc]", 0..50_i64).prop_map(|(name, at)| RevokeKey { name, at }),
        ("[abc]", answer).prop_map(|(key, answer)| Remember { key, answer }),
        (0..50_i64).prop_map(Forget),
    ]
}

fn credentials() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let (device, few, at) = (|| 1..8_u32, || 1..5_u32, || 0..50_i64);
    prop_oneof![
        4 => new_device().prop_map(Register),
        2 => (device(), at()).prop_map(|(n, seconds)| NotePending(samples::note(n, seconds))),
        1 => (at(), 1..4_u32).prop_map(|(before, attempts)| ForgetPending { before, attempts }),
        1 => (device(), at()).prop_map(|(device, until)| OpenWindow { device, until }),
        4 => few().prop_map(Claim),
        1 => (device(), any::<u8>()).prop_map(|(device, version)| SaveReported { device, version }),
        2 => (device(), any::<i64>()).prop_map(|(device, generation)| UseToken { device, generation }),
        2 => (device(), at()).prop_map(|(device, at)| Revoke { device, at }),
        3 => (device(), of(at())).prop_map(|(device, until)| Release { device, until }),
        4 => (few(), at()).prop_map(|(device, until)| OpenReclaim { device, until }),
        4 => (few(), 0..20_i64).prop_map(|(device, at)| Reclaim { device, at }),
        // Mostly for one that nobody knows.
        3 => (device(), 1..90_u32, at()).prop_map(|(old, new, at)| Swap { old, new, at }),
        3 => vec(step(), 0..4).prop_map(Curate),
        1 => (at(), at()).prop_map(|(from, until)| Outage { from, until }),
    ]
}

fn uploads() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let device = || 1..5_u32;
    let item = || ("[a-z]{2}", "[a-zä{]{0,3}").prop_map(|(reason, raw)| Quarantined { reason, raw });
    let report = (device(), of("[0-9]{1,2}"), of(any::<u8>())).prop_map(|(device, version, progress)| FirmwareReport {
        device: DeviceNo(device),
        at: samples::at(device.into()),
        state: version.clone(),
        version,
        progress_percent: progress,
        message: None,
    });
    prop_oneof![
        4 => vec(reading(), 0..12).prop_map(Append),
        1 => (-2..4_i64, vec(checkpoint_row(), 0..6)).prop_map(|(ahead, rows)| Checkpoint { ahead, rows }),
        1 => (device(), "[a-zä]{0,5}", 0..4_u32).prop_map(|(device, text, keep)| Log { device, text, keep }),
        1 => (device(), vec(item(), 0..4), 0..4_u32)
            .prop_map(|(device, items, keep)| Quarantine { device, items, keep }),
        1 => report.prop_map(Firmware),
    ]
}

fn days() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let (day, revision) = (|| 0..3_i32, || 1..4_u32);
    let step = prop_oneof![
        3 => (0..3_usize).prop_map(ArchiveStep::ForgetSealed),
        1 => (0..50_i64).prop_map(ArchiveStep::Keep),
        1 => Just(ArchiveStep::MarkRestored),
        2 => (0..80_i64).prop_map(ArchiveStep::EndKeeping),
        1 => Just(ArchiveStep::ForgetFile),
    ];
    prop_oneof![
        1 => Just(ForgetHot),
        1 => (0..60_i64).prop_map(ForgetSuspect),
        4 => vec((sealed_day(), rolled_day()), 1..4).prop_map(|days| {
            let of_one = |(sealed, rolled): (SealedDay, RolledDay)| {
                let rolled = RolledDay { light_no: sealed.light_no, day: sealed.day, ..rolled };
                (sealed, rolled)
            };
            Seal(days.into_iter().map(of_one).collect())
        }),
        2 => vec(rolled_day(), 0..3).prop_map(RollUp),
        2 => (-1..2_i64, vec(any::<u8>(), 0..4)).prop_map(|(later, body)| Daily { later, body }),
        3 => archived_day().prop_map(Archive),
        4 => (day(), revision(), step).prop_map(|(day, revision, step)| Archived { day, revision, step }),
    ]
}

pub fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let order =
        || (any::<u8>(), 1..5_u32, kind(), 0..50_i64).prop_map(|(id, light, kind, at)| Order { id, light, kind, at });
    let state = || select(AlertState::ALL.to_vec());
    let query = (of(1..4_u32), of(1..4_u32), of(state()), of(0..30_i64), 0..5_u32);
    prop_oneof![
        4 => people(),
        9 => credentials(),
        4 => uploads(),
        3 => days(),
        2 => vec(order(), 0..4).prop_map(Enqueue),
        1 => (any::<u8>(), 0..50_i64).prop_map(|(id, at)| Cancel { id, at }),
        2 => vec(change(), 0..4).prop_map(Change),
        2 => raise().prop_map(Raise),
        1 => (0..30_i64, state(), 0..50_i64).prop_map(|(no, to, at)| MoveAlert { no, to, at }),
        1 => (1..6_u32, -5..45_i64, -5..45_i64, 0..9_u32).prop_map(|(light, from, to, limit)| Read {
            light,
            from,
            to,
            limit
        }),
        1 => query.prop_map(|(device, light, state, before_no, limit)| Ask(AlertQuery {
            device_no: device.map(DeviceNo),
            light_no: light.map(LightNo),
            state,
            before_no,
            limit,
        })),
    ]
}
