//! POST status: whether the device may speak of that light, then intake, then the answer.
use std::pin::Pin;
use std::time::Duration;

use ccms_core::ids::{DeviceNo, LightId, LightNo};
use ccms_core::light;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_core::wire::envelope::ErrorCode;
use ccms_core::wire::status::{StatusBatch, StatusMessage, StatusResponse};
use ccms_store::ReadingRow;
use serde_json::json;

use crate::ccms::Ccms;
use crate::identity::{Credentials, DeviceIdentity};
use crate::intake::{NotTaken, Receipt};
use crate::live::State;
use crate::refusal::Refusal;

/// How long an answer waits for readings that came beside it.
const BESIDE_WAIT: Duration = Duration::from_secs(2);

/// What became of a status.
#[derive(Debug)]
pub struct StatusReceipt {
    pub stored: u32,
    pub duplicate: u32,
    /// Items that could not be read and were put aside.
    pub quarantined: u32,
    pub next_update_s: u32,
    pub next_poll_s: u32,
    pub now: UtcMillis,
    pub credentials: Option<Credentials>,
}

impl StatusReceipt {
    /// `counted`: the request was an array, whose sender wants to know what became of its readings.
    pub fn response(self, counted: bool) -> StatusResponse {
        StatusResponse {
            status: "success".into(),
            message: StatusResponse::MESSAGE.into(),
            next_update_seconds: self.next_update_s,
            server_timestamp: self.now,
            next_poll_seconds: Some(self.next_poll_s),
            stored: counted.then_some(self.stored),
            duplicate: counted.then_some(self.duplicate),
            quarantined: counted.then_some(self.quarantined),
            token_expires_at: self.credentials.as_ref().map(|c| c.expires_at),
            device_token: self.credentials.map(|c| c.token),
        }
    }
}

impl Ccms {
    /// Stores a device's readings. Returns when they are on disk.
    pub async fn record_status(&self, who: &DeviceIdentity, batch: StatusBatch) -> Result<StatusReceipt, Refusal> {
        let now = self.now();
        let rows = self.rows_of(who, batch.messages, now).await?;
        if rows.is_empty() {
            self.live().write().contact(who.no, now);
        }
        let kept = self.keep_rows(rows).await?;
        let quarantined =
            if batch.quarantined.is_empty() { 0 } else { Box::pin(self.put_aside(who, batch.quarantined)).await? };
        let (next_update_s, next_poll_s) = self.pace(who.no, now);
        Ok(StatusReceipt {
            stored: kept.stored,
            duplicate: kept.duplicate,
            quarantined,
            next_update_s,
            next_poll_s,
            now,
            credentials: self.refresh(who, now),
        })
    }

    /// Stores what came beside something more important, which neither waits long for it nor fails with it.
    pub(crate) async fn record_beside(&self, who: &DeviceIdentity, batch: StatusBatch) -> Result<(), Refusal> {
        let rows = self.rows_of(who, batch.messages, self.now()).await?;
        match tokio::time::timeout(BESIDE_WAIT, self.keep_rows(rows)).await {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => tracing::warn!(device = %who.id, reason = refusal.message, "a status was not kept"),
            Err(_) => tracing::debug!(device = %who.id, "a status is stored later"),
        }
        Ok(())
    }

    /// What is to be stored: each message is of a light of this device, or all are refused.
    pub(crate) async fn rows_of(
        &self,
        who: &DeviceIdentity,
        messages: Vec<StatusMessage>,
        now: UtcMillis,
    ) -> Result<Vec<ReadingRow>, Refusal> {
        match self.own_rows(who, messages, now) {
            Err(refusal) if refusal.code == ErrorCode::DeviceMismatch => Err(self.mismatch(who, "body", refusal).await),
            rows => rows,
        }
    }

    fn own_rows(
        &self,
        who: &DeviceIdentity,
        messages: Vec<StatusMessage>,
        now: UtcMillis,
    ) -> Result<Vec<ReadingRow>, Refusal> {
        let live = self.live().read();
        let gone = || Refusal::unauthorized("This device is not registered any more; configure again");
        let lights = live.device(who.no).ok_or_else(gone)?.lights.as_slice();
        let row = |message: StatusMessage| {
            own_device(who, message.device_id.as_deref())?;
            own_imei(who, message.gsm_imei.as_deref())?;
            let mut reading = message.reading;
            let named = reading.light_id.take();
            let light_no = match (&message.light_id, lights.first()) {
                // A device with one light need not say which.
                (None, Some(first)) => *first,
                _ => own_light(&live, lights, named.as_ref())?,
            };
            Ok(ReadingRow { light_no, device_no: who.no, received_at: now, dedupe: reading.dedupe_key(), reading })
        };
        messages.into_iter().map(row).collect()
    }

    pub(crate) async fn keep_rows(&self, rows: Vec<ReadingRow>) -> Result<Receipt, Refusal> {
        if rows.is_empty() {
            return Ok(Receipt::default());
        }
        self.inner().intake.store(rows).await.map_err(|why| {
            let message = match why {
                NotTaken::Full => "The server is busy; nothing was kept",
                NotTaken::Failed => "The server cannot store this right now; nothing was kept",
                NotTaken::Closed => "The server is stopping; nothing was kept",
            };
            Refusal::new(ErrorCode::Unavailable, message)
        })
    }

    /// A device that is named in a body is the one whose token came with it.
    pub(crate) async fn check_own_device(
        &self,
        who: &DeviceIdentity,
        named: Option<&str>,
        part: &str,
    ) -> Result<(), Refusal> {
        match own_device(who, named) {
            Err(refusal) => Err(self.mismatch(who, part, refusal).await),
            own => own,
        }
    }

    /// A modem's number that is named in a body is the one that the device is named by.
    pub(crate) async fn check_own_imei(
        &self,
        who: &DeviceIdentity,
        named: Option<&str>,
        part: &str,
    ) -> Result<(), Refusal> {
        match own_imei(who, named) {
            Err(refusal) => Err(self.mismatch(who, part, refusal).await),
            own => own,
        }
    }

    /// A light that is named in a body is one of this device's; `None` is a name that no light can have.
    pub(crate) async fn check_own_light(
        &self,
        who: &DeviceIdentity,
        named: Option<&LightId>,
        part: &str,
    ) -> Result<LightNo, Refusal> {
        let own = {
            let live = self.live().read();
            let lights = live.device(who.no).map(|d| d.lights.as_slice()).unwrap_or_default();
            own_light(&live, lights, named)
        };
        match own {
            Err(refusal) => Err(self.mismatch(who, part, refusal).await),
            own => own,
        }
    }

    /// Writes down that a body spoke of what is not this device's. Rare, so its state is not every request's.
    fn mismatch<'a>(
        &'a self,
        who: &'a DeviceIdentity,
        part: &'a str,
        refusal: Refusal,
    ) -> Pin<Box<dyn Future<Output = Refusal> + Send + 'a>> {
        Box::pin(async move {
            self.note_of_device(&who.id, "device.mismatch", who.id.as_str(), json!({"part": part})).await;
            refusal
        })
    }

    /// When the device should report and poll next, in seconds.
    pub(crate) fn pace(&self, no: DeviceNo, now: UtcMillis) -> (u32, u32) {
        let live = self.live().read();
        let Some(device) = live.device(no) else { return (limits::STATUS_INTERVAL_S, limits::POLL_INTERVAL_S) };
        let latest = device.lights.first().and_then(|l| live.light(*l)).and_then(|l| l.latest.as_ref());
        let (temperature, battery) = latest.map_or((None, None), |r| (r.temperature_dc(), r.battery_percent()));
        let urgent = device.commands.iter().any(|c| {
            c.command.priority == ccms_core::command::Priority::High
                && c.command.state.is_pending()
                && !c.command.is_expired(now)
        });
        (light::next_status_s(temperature, battery), light::next_poll_s(urgent, battery))
    }
}

fn own_device(who: &DeviceIdentity, named: Option<&str>) -> Result<(), Refusal> {
    let own = named.is_none_or(|id| id == who.id.as_str());
    own.then_some(()).ok_or_else(|| Refusal::mismatch("device_id in the body differs from the token"))
}

fn own_imei(who: &DeviceIdentity, named: Option<&str>) -> Result<(), Refusal> {
    let own = who.id.imei().zip(named).is_none_or(|(own, named)| own == named);
    own.then_some(()).ok_or_else(|| Refusal::mismatch("gsm_imei in the body differs from the token"))
}

fn own_light(live: &State, lights: &[LightNo], named: Option<&LightId>) -> Result<LightNo, Refusal> {
    let own = named.and_then(|id| live.light_no(id)).filter(|no| lights.contains(no));
    own.ok_or_else(|| Refusal::mismatch("light_id in the body is not a light of this device"))
}
