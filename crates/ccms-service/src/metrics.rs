//! What the service counts for whoever watches it run: names, meanings, and the few functions that count. Without a
//! recorder in the process (tests, tools) counting costs next to nothing and goes nowhere.
//!
//! No label ever carries an id: a series per device would cost more than the device.
use std::time::{Duration, Instant};

use ccms_core::command::CommandState;
use ccms_core::light::Indicator;
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::DeviceState;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::ccms::Ccms;

const READINGS: &str = "ccms_readings_total";
const REFUSALS: &str = "ccms_device_refusals_total";
const COMMANDS: &str = "ccms_commands_total";
/// Readings in one commit.
pub const BATCH: &str = "ccms_intake_batch_readings";
const COMMIT: &str = "ccms_intake_commit_duration_seconds";
const FAILED_COMMITS: &str = "ccms_intake_failed_commits_total";
const SEALED: &str = "ccms_sealed_readings_total";
const SEALED_BYTES: &str = "ccms_sealed_bytes_total";
const FORGOTTEN: &str = "ccms_forgotten_readings_total";
const SEAL_FAILURES: &str = "ccms_seal_failures_total";
const LET_GO: &str = "ccms_readings_let_go_total";
const ARCHIVED: &str = "ccms_archived_readings_total";
const ARCHIVED_BYTES: &str = "ccms_archived_bytes_total";
const ARCHIVE_FAILURES: &str = "ccms_archive_failures_total";
const DISK_FREE: &str = "ccms_disk_free_bytes";
const QUEUE: &str = "ccms_intake_queue_requests";
const QUEUE_MAX: &str = "ccms_intake_queue_requests_max";
const DEVICES: &str = "ccms_devices";
const LIGHTS: &str = "ccms_lights";
const WATCHERS: &str = "ccms_sse_watchers";
const LEADS: &str = "ccms_lease_held";
const BEHIND: &str = "ccms_follow_behind_seconds";
const ROWS_BEHIND: &str = "ccms_follow_readings";

/// Tells the recorder what each name means; once per process.
pub fn describe() {
    describe_counter!(READINGS, Unit::Count, "Readings taken from devices, by what became of them");
    describe_counter!(REFUSALS, Unit::Count, "Requests of devices that were refused, by the code they were given");
    describe_counter!(COMMANDS, Unit::Count, "Commands that came to their end, by outcome");
    describe_histogram!(BATCH, Unit::Count, "Readings in one commit");
    describe_histogram!(COMMIT, Unit::Seconds, "Time of one commit of readings, to disk");
    describe_counter!(FAILED_COMMITS, Unit::Count, "Commits of readings that the database refused");
    describe_counter!(SEALED, Unit::Count, "Readings that left the log for blocks");
    describe_counter!(SEALED_BYTES, Unit::Bytes, "Size of the blocks that were written");
    describe_counter!(
        FORGOTTEN,
        Unit::Count,
        "Readings of clocks that cannot be right that were deleted for their age"
    );
    describe_counter!(SEAL_FAILURES, Unit::Count, "Times that a day, or a light on one, could not be sealed, by which");
    describe_counter!(LET_GO, Unit::Count, "Readings beyond what is kept of a light's day");
    describe_counter!(ARCHIVED, Unit::Count, "Readings that were written to files of the archive");
    describe_counter!(ARCHIVED_BYTES, Unit::Bytes, "Size of the files that were written");
    describe_counter!(ARCHIVE_FAILURES, Unit::Count, "Runs in which a day could not be archived");
    describe_gauge!(DISK_FREE, Unit::Bytes, "Room on the disk of an embedded database");
    describe_gauge!(QUEUE, Unit::Count, "Requests that wait for the database's writer");
    describe_gauge!(QUEUE_MAX, Unit::Count, "Requests that may wait for it; more are refused");
    describe_gauge!(DEVICES, Unit::Count, "Devices by state");
    describe_gauge!(LIGHTS, Unit::Count, "Lights by the colour of their indicator");
    describe_gauge!(
        LEADS,
        Unit::Count,
        "1 in the process that runs the background jobs, 0 in the others on its database"
    );
    describe_gauge!(BEHIND, Unit::Seconds, "Time since this process knew all that other processes had stored");
    describe_gauge!(ROWS_BEHIND, Unit::Count, "Readings that the last look at what other processes stored brought");
    describe_gauge!(WATCHERS, Unit::Count, "Open event streams of browsers and other systems");
}

/// A device was refused.
pub fn refused(code: ErrorCode) {
    counter!(REFUSALS, "code" => code.as_str()).increment(1);
}

/// A command reached a state; counted once it is its last.
pub fn command_finished(state: CommandState) {
    if !state.is_live() {
        counter!(COMMANDS, "outcome" => state.as_str()).increment(1);
    }
}

/// Items that could not be readings were put aside.
pub fn quarantined(items: u32) {
    if items > 0 {
        counter!(READINGS, "outcome" => "quarantined").increment(u64::from(items));
    }
}

/// A batch is on disk.
pub(crate) fn committed(stored: usize, duplicate: usize, took: Duration) {
    histogram!(BATCH).record((stored + duplicate) as f64);
    histogram!(COMMIT).record(took.as_secs_f64());
    counter!(READINGS, "outcome" => "stored").increment(stored as u64);
    counter!(READINGS, "outcome" => "duplicate").increment(duplicate as u64);
}

/// Readings left the log for blocks of this size.
pub(crate) fn sealed(readings: u64, bytes: u64) {
    counter!(SEALED).increment(readings);
    counter!(SEALED_BYTES).increment(bytes);
}

/// Readings whose clock was suspect were deleted.
pub(crate) fn forgotten(readings: u64) {
    counter!(FORGOTTEN).increment(readings);
}

/// A day or a light could not be sealed.
pub(crate) fn seal_failed(what: &'static str) {
    counter!(SEAL_FAILURES, "what" => what).increment(1);
}

/// Readings that are more than a day holds.
pub(crate) fn let_go(readings: u64) {
    counter!(LET_GO).increment(readings);
}

/// A day's readings are in a file of this size.
pub(crate) fn archived(readings: u64, bytes: u64) {
    counter!(ARCHIVED).increment(readings);
    counter!(ARCHIVED_BYTES).increment(bytes);
}

/// A day could not be archived.
pub(crate) fn archive_failed() {
    counter!(ARCHIVE_FAILURES).increment(1);
}

/// Room on the database's disk.
pub(crate) fn disk_free(bytes: u64) {
    gauge!(DISK_FREE).set(bytes as f64);
}

/// A batch was refused by the database.
pub(crate) fn commit_failed() {
    counter!(FAILED_COMMITS).increment(1);
}

/// How long something takes. Durations come from the monotonic clock, whatever the wall clock is told.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "measures the server itself; nothing decides by it")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Ccms {
    /// Brings the gauges up to date that are cheaper to look up when asked than to keep.
    pub fn gauge(&self) {
        let now = self.now();
        let mut devices = [0u32; DeviceState::ALL.len()];
        let mut lights = [0u32; Indicator::ALL.len()];
        self.live().each_device(|d| devices[place(&DeviceState::ALL, d.record.state)] += 1);
        self.live().each_light(|live, l| lights[place(&Indicator::ALL, live.facts(l).indicator(now))] += 1);
        for (state, count) in DeviceState::ALL.into_iter().zip(devices) {
            gauge!(DEVICES, "state" => state.as_str()).set(count);
        }
        for (indicator, count) in Indicator::ALL.into_iter().zip(lights) {
            gauge!(LIGHTS, "indicator" => indicator.as_str()).set(count);
        }
        let (waiting, max) = self.inner().intake.depth();
        gauge!(QUEUE).set(waiting as f64);
        gauge!(QUEUE_MAX).set(max as f64);
        gauge!(WATCHERS).set(self.feed().watchers() as f64);
        gauge!(LEADS).set(f64::from(u8::from(self.leads())));
        if let Some(member) = self.membership() {
            gauge!(BEHIND).set(member.behind.as_secs_f64());
            gauge!(ROWS_BEHIND).set(member.rows_behind as f64);
        }
    }
}

fn place<T: PartialEq>(all: &[T], one: T) -> usize {
    all.iter().position(|other| *other == one).unwrap_or(0)
}
