//! POST configure: who is let in, and who gets credentials.
//!
//! | the device is | with proof | signed by its factory | neither |
//! | --- | --- | --- | --- |
//! | unknown or pending | noted as pending, 400 | the same | the same; open enrolment: registered and claimed |
//! | registered | – | claimed | claimed inside its claim window, else noted, 400; open enrolment: claimed |
//! | registered, and had credentials before | – | as without | claimed inside its claim window, else noted, 400 |
//! | claimed | 200, fresh credentials | the same | 200, no credentials, nothing changes |
//! | claimed within 24 h, credentials never used | the same | the same | 200, credentials again |
//! | claimed, reclaim window open | the same | the same | 200, credentials under a new epoch, once |
//! | claimed, three rounds without credentials | the same | the same | 400, come back in an hour; a person is told |
//! | claimed, silent too long | registered again, 400 | the same | the same |
//! | revoked | 400 | 400 | 400 |
//!
//! What counts as proof is in `proof`, the rounds are counted in `breaker`, silence is in `silence`. A device that had
//! credentials and lost them to a person's decision or to silence comes back through a person alone.
//!
//! A claim whose answer was lost must not strand the device: hence the fifth row. For the same reason old credentials stay
//! good until the fresh ones are used.
//!
//! A city-wide power cut makes every device call this within a minute: for claimed devices it reads memory only.
mod admission;
mod answer;

use ccms_core::ids::{DeviceId, DeviceNo};
use ccms_core::time::UtcMillis;
use ccms_core::wire::configure::{ConfigureRequest, ConfigureResponse};
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::{DeviceRecord, DeviceState};
use serde_json::json;

use crate::breaker::{AlertKind, Verdict};
use crate::ccms::Ccms;
use crate::identity::{Credentials, DeviceIdentity};
use crate::keys::TokenClaims;
use crate::proof::{Evidence, Signed, Standing};
use crate::refusal::Refusal;
use crate::settings::ServiceArea;
use answer::{check_identity, reported_of};

/// A claim whose credentials were never used is answered with credentials again for this long.
const UNUSED_CLAIM_S: i64 = 86_400;

/// A device that is let in.
#[derive(Debug)]
pub struct Claimed {
    pub device: DeviceNo,
    /// Only after proof or a first claim.
    pub credentials: Option<Credentials>,
}

/// A claim is later than any token that was ever used, also when the clock was set back: so it shows whether its own
/// credentials were used.
fn claimed_at(device: &DeviceRecord, now: UtcMillis) -> UtcMillis {
    now.max(UtcMillis(device.token_used_gen + 1))
}

impl Claimed {
    const fn without(device: DeviceNo) -> Self {
        Self { device, credentials: None }
    }
}

impl Ccms {
    /// The documented answer to a configure of `id`, which the path named.
    pub async fn configure(
        &self,
        id: &DeviceId,
        evidence: Evidence<'_>,
        request: &ConfigureRequest,
    ) -> Result<ConfigureResponse, Refusal> {
        let claims = evidence.bearer.and_then(|token| self.claims_of(token));
        if let Some(foreign) = claims.as_ref().filter(|c| c.sub != id.as_str()) {
            return Err(self.refuse_foreign(foreign, id).await);
        }
        if let Err(refusal) = check_identity(id, request) {
            self.note_of_device(id, "device.mismatch", id.as_str(), json!({"part": "configure body"})).await;
            return Err(refusal);
        }
        let outside = |area: ServiceArea| request.place().is_some_and(|(lat, lon)| !area.contains(lat, lon));
        if request.place_invalid || self.settings().service_area.is_some_and(outside) {
            return Err(Refusal::new(ErrorCode::ConfigInvalid, "GPS coordinates invalid or out of service area"));
        }
        let now = self.now();
        let known = {
            let live = self.live().read();
            let device = live.device_no(id).and_then(|no| live.device(no));
            device.filter(|d| d.record.state == DeviceState::Claimed).map(|d| {
                let heard = (!self.is_silent(d.record.state, d.heard(), now)).then(|| d.last_contact());
                (d.record.record(), heard)
            })
        };
        let claimed = match known {
            Some((device, Some(contact))) => {
                self.reconfigure(&device, contact, claims, &evidence, request, now).await?
            }
            Some((silent, None)) => {
                self.release_one(&silent).await?;
                self.enrol(id, &evidence, request, now).await?
            }
            None => self.enrol(id, &evidence, request, now).await?,
        };
        self.configure_response(claimed, now)
    }

    /// A configure of a claimed device.
    async fn reconfigure(
        &self,
        device: &DeviceRecord,
        last_contact: Option<UtcMillis>,
        claims: Option<TokenClaims>,
        evidence: &Evidence<'_>,
        request: &ConfigureRequest,
        now: UtcMillis,
    ) -> Result<Claimed, Refusal> {
        let standing = claims.as_ref().map(|claims| self.standing(device, claims.into(), now));
        if standing == Some(Standing::Superseded) {
            self.suspect_clone(device.no, now).await;
        }
        let signed = self.signed(&device.id, device.epoch, evidence);
        let by_token = claims.filter(|_| standing == Some(Standing::Good));
        if by_token.is_some() || matches!(signed, Signed::ByDevice | Signed::ByFactory) {
            if let Some(claims) = by_token {
                self.use_token(device.no, claims.generation).await?;
            }
            if signed == Signed::Wrongly {
                // Its secret is damaged, and only fresh credentials cure that; what it says may be anybody's.
                tracing::info!(device = %device.id, "configure with a good token and a wrong signature: nothing of it is kept");
                self.inner().breaker.mended(device.no);
                return Ok(Claimed { device: device.no, credentials: self.credentials(device.no, device.epoch, now) });
            }
            return self.renew(device, request, now).await;
        }
        if device.reclaim_until.is_some_and(|until| until > now)
            && let Some(claimed) = self.reclaim(device, now).await?
        {
            return Ok(claimed);
        }
        // The answer to the claim may never have arrived.
        let claimed_at = device.claimed_at.unwrap_or(device.created_at);
        let used = device.token_used_gen >= claimed_at.0 || last_contact.is_some_and(|at| at >= claimed_at);
        if !used && signed != Signed::Wrongly && now.since(claimed_at) <= UNUSED_CLAIM_S * 1000 {
            tracing::info!(device = %device.id, "configure of a claim never used: credentials issued again");
            return Ok(Claimed { device: device.no, credentials: self.credentials(device.no, device.epoch, now) });
        }
        self.without_proof(device, now).await
    }

    /// Fresh credentials for a device that proved itself, and what it says of itself and its lamp.
    async fn renew(
        &self,
        device: &DeviceRecord,
        request: &ConfigureRequest,
        now: UtcMillis,
    ) -> Result<Claimed, Refusal> {
        let fresh = reported_of(request, &device.reported);
        if device.reported != fresh {
            self.store().save_reported(device.no, &fresh).await?;
            self.live().write().device_says(device.no, &fresh);
        }
        self.live().write().contact(device.no, now);
        self.inner().breaker.mended(device.no);
        if !request.statuses.messages.is_empty() {
            let who = DeviceIdentity {
                no: device.no,
                id: device.id.clone(),
                epoch: device.epoch,
                issued_at_s: now.seconds(),
            };
            let statuses = request.statuses.clone();
            if statuses.is_list {
                // Who reports this way takes the answer for a receipt.
                self.record_status(&who, statuses).await?;
            } else {
                self.record_beside(&who, statuses).await?;
            }
        }
        Ok(Claimed { device: device.no, credentials: self.credentials(device.no, device.epoch, now) })
    }

    /// The documented answer and nothing else; after three rounds not even that.
    async fn without_proof(&self, device: &DeviceRecord, now: UtcMillis) -> Result<Claimed, Refusal> {
        match self.inner().breaker.unproven(device.no, now) {
            Verdict::Answer { tell } => {
                tracing::debug!(device = %device.id, "configure without proof: answered, nothing issued");
                if tell {
                    self.tell_people(device.no, AlertKind::UnprovenConfigure).await;
                }
                Ok(Claimed::without(device.no))
            }
            Verdict::Refuse { tell, look } => {
                if look && let Some(claimed) = self.reclaim(device, now).await? {
                    return Ok(claimed);
                }
                if tell {
                    self.tell_people(device.no, AlertKind::ReclaimRequired).await;
                }
                Err(Self::reclaim_required())
            }
        }
    }

    /// Takes the reclaim window, if the store says that it is open: one device, once, under a new epoch.
    async fn reclaim(&self, device: &DeviceRecord, now: UtcMillis) -> Result<Option<Claimed>, Refusal> {
        let _one_at_a_time = self.enrolment_lane(&device.id).lock().await;
        let actor = format!("device {}", device.id);
        let audit = self.audit_entry(&actor, "device.reclaim", device.id.as_str(), json!({"epoch": device.epoch + 1}));
        let Some(record) = self.store().reclaim_device(device.no, now, claimed_at(device, now), &audit).await? else {
            return Ok(None);
        };
        let (no, epoch) = (record.no, record.epoch);
        self.live().write().put_device(record);
        self.inner().breaker.mended(no);
        Ok(Some(Claimed { device: no, credentials: self.credentials(no, epoch, now) }))
    }
}
