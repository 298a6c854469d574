//! Who speaks: a device's token, checked against memory alone.
use ccms_core::ids::{DeviceId, DeviceNo};
use ccms_core::limits;
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::DeviceState;
use serde_json::json;

use crate::ccms::Ccms;
use crate::keys::TokenClaims;
use crate::refusal::Refusal;

/// A device that proved who it is. Everything it reads and writes is found through this, never through a path or a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIdentity {
    pub no: DeviceNo,
    pub id: DeviceId,
    pub(crate) epoch: u32,
    pub(crate) issued_at_s: i64,
}

/// What a token is used for: past its seven days it is still good for coming back, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUse {
    /// Status: a token is accepted until 30 days after it was issued, and the answer carries a new one.
    Report,
    /// Anything else.
    Command,
}

impl Ccms {
    /// What a token says, if it is one of ours.
    pub(crate) fn claims_of(&self, token: &str) -> Option<TokenClaims> {
        let now = self.now();
        self.keys().verify(token, now, |from| now.since(from))
    }

    /// Who a token speaks for; `path` is the device that the request names.
    ///
    /// # Errors
    /// 404 for a device that is not registered, 401 for what configure cures, 403 for another device's path.
    pub async fn authenticate(
        &self,
        path: &DeviceId,
        bearer: Option<&str>,
        usage: TokenUse,
    ) -> Result<DeviceIdentity, Refusal> {
        let claims = bearer.and_then(|token| self.claims_of(token));
        let Some(claims) = claims else {
            // Without a token nothing is told about which devices exist, except to one that is itself unknown.
            return Err(match (bearer, self.live().read().device_no(path)) {
                (Some(_), None) => {
                    Refusal::new(ErrorCode::NotRegistered, "This device is not registered; configure it")
                }
                (Some(_), Some(_)) => Refusal::unauthorized("The device token is not valid; configure again"),
                (None, _) => Refusal::unauthorized("A device token is required; configure first"),
            });
        };
        if claims.sub != path.as_str() {
            self.audit(&format!("device {}", claims.sub), "device.mismatch", path.as_str(), json!({"part": "path"}))
                .await;
            return Err(Refusal::mismatch("the token belongs to another device"));
        }
        let now_s = self.now().seconds();
        let live = self.live().read();
        let device = live.device_no(path).and_then(|no| live.device(no));
        let Some(device) = device else {
            return Err(Refusal::new(ErrorCode::NotRegistered, "This device is not registered; configure it"));
        };
        let expired = match usage {
            TokenUse::Report => now_s - claims.iat > limits::SILENCE_LIMIT_S,
            TokenUse::Command => now_s >= claims.exp,
        };
        if expired || device.record.state != DeviceState::Claimed || device.record.epoch != claims.ep {
            return Err(Refusal::unauthorized("The device token is no longer valid; configure again"));
        }
        Ok(DeviceIdentity { no: device.record.no, id: path.clone(), epoch: claims.ep, issued_at_s: claims.iat })
    }
}
