//! POST status: whether the device may speak of that light, then intake, then the answer.
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::light;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_core::wire::envelope::ErrorCode;
use ccms_core::wire::status::{StatusMessage, StatusResponse};
use ccms_store::ReadingRow;
use serde_json::json;

use crate::ccms::Ccms;
use crate::enrolment::Credentials;
use crate::identity::DeviceIdentity;
use crate::intake::NotTaken;
use crate::refusal::Refusal;

/// What became of a status.
#[derive(Debug)]
pub struct StatusReceipt {
    pub stored: u32,
    pub duplicate: u32,
    /// Items that could not be read; whoever parsed them counts them.
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
    pub async fn record_status(
        &self,
        who: &DeviceIdentity,
        messages: Vec<StatusMessage>,
    ) -> Result<StatusReceipt, Refusal> {
        let now = self.now();
        let lights = match self.live().read().device(who.no) {
            Some(device) => device.lights.clone(),
            None => return Err(Refusal::unauthorized("This device is not registered any more; configure again")),
        };
        let mut rows = Vec::with_capacity(messages.len());
        for message in messages {
            let light_no = match self.light_of(&message, who, &lights) {
                Ok(no) => no,
                Err(refusal) => {
                    self.audit(
                        &format!("device {}", who.id),
                        "device.mismatch",
                        who.id.as_str(),
                        json!({"part": "body"}),
                    )
                    .await;
                    return Err(refusal);
                }
            };
            let mut reading = message.reading;
            reading.light_id = None;
            let dedupe = reading.dedupe_key();
            rows.push(ReadingRow { light_no, device_no: who.no, received_at: now, dedupe, reading });
        }
        let receipt = self.inner().intake.store(rows).await.map_err(|why| {
            let message = match why {
                NotTaken::Full => "The server is busy; nothing was kept",
                NotTaken::Failed => "The server cannot store this right now; nothing was kept",
                NotTaken::Closed => "The server is stopping; nothing was kept",
            };
            Refusal::new(ErrorCode::Unavailable, message)
        })?;
        let mut live = self.live().write();
        live.contact(who.no, now);
        drop(live);
        let (next_update_s, next_poll_s) = self.pace(who.no, now);
        let refresh_due = now.seconds() - who.issued_at_s >= limits::TOKEN_LIFE_S / 2;
        Ok(StatusReceipt {
            stored: receipt.stored,
            duplicate: receipt.duplicate,
            quarantined: 0,
            next_update_s,
            next_poll_s,
            now,
            credentials: refresh_due.then(|| self.credentials(&who.id, who.epoch, now)),
        })
    }

    /// Which of the device's lights a message speaks of; a device with one light need not say.
    fn light_of(&self, message: &StatusMessage, who: &DeviceIdentity, lights: &[LightNo]) -> Result<LightNo, Refusal> {
        if message.device_id.as_deref().is_some_and(|id| id != who.id.as_str()) {
            return Err(Refusal::mismatch("device_id in the body differs from the token"));
        }
        let named = match &message.light_id {
            None => lights.first().copied(),
            Some(_) => {
                let live = self.live().read();
                let no = message.reading.light_id.as_ref().and_then(|id| live.light_no(id));
                no.filter(|no| lights.contains(no))
            }
        };
        named.ok_or_else(|| Refusal::mismatch("light_id in the body is not a light of this device"))
    }

    /// When the device should report and poll next, in seconds.
    pub(crate) fn pace(&self, no: DeviceNo, now: UtcMillis) -> (u32, u32) {
        let live = self.live().read();
        let Some(device) = live.device(no) else { return (limits::STATUS_INTERVAL_S, limits::POLL_INTERVAL_S) };
        let latest = device.lights.first().and_then(|l| live.light(*l)).and_then(|l| l.latest.as_ref());
        let (temperature, battery) =
            latest.map_or((None, None), |row| (row.reading.temperature_dc, row.reading.battery_percent));
        let urgent = device.commands.iter().any(|c| {
            c.command.priority == ccms_core::command::Priority::High
                && c.command.state.is_pending()
                && !c.command.is_expired(now)
        });
        (light::next_status_s(temperature, battery), light::next_poll_s(urgent, battery))
    }
}
