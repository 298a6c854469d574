//! Who speaks: a device's token, checked against memory. Only the first use of a token of a newer generation is written
//! down, because from then on the older ones are superseded.
use ccms_core::ids::{DeviceId, DeviceNo};
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::{DeviceState, StoreResult};
use serde_json::json;

use crate::ccms::Ccms;
use crate::keys::{TokenClaims, TokenKeys};
use crate::live::{KeptDevice, State};
use crate::proof::Standing;
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
    /// Status and sync: a token is accepted until 30 days after it was issued, and the answer carries a new one.
    Report,
    /// Anything else.
    Command,
}

/// What a device holds after it was let in.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub token: String,
    pub expires_at: UtcMillis,
}

impl Ccms {
    /// Who a token speaks for; `path` is the device that the request names.
    ///
    /// # Errors
    /// 404 for a device that is not registered, 401 for what configure cures, 403 for another device's path, 503 when the
    /// first use of a token cannot be written down.
    pub async fn authenticate(
        &self,
        path: &DeviceId,
        bearer: Option<&str>,
        usage: TokenUse,
    ) -> Result<DeviceIdentity, Refusal> {
        let now = self.now();
        if let Some(who) = bearer.and_then(|token| self.recognise(path, token, usage, now)) {
            return Ok(who);
        }
        // The rest is for a device's first request after a start, and for what is refused: its state is not everybody's.
        Box::pin(self.look_closely(path, bearer, usage, now)).await
    }

    /// A device whose token was looked at before. What changed since then is left to the closer look.
    fn recognise(&self, path: &DeviceId, token: &str, usage: TokenUse, now: UtcMillis) -> Option<DeviceIdentity> {
        let digest = TokenKeys::digest(token);
        let live = self.live().read();
        let device = live.device_no(path).and_then(|no| live.device(no))?;
        let issued = self.keys().recognise(&digest, device.token_seen.as_ref())?;
        let record = &device.record;
        let good = record.state == DeviceState::Claimed
            && issued.generation <= record.token_used_gen
            && !(usage == TokenUse::Command && now.seconds() >= issued.expires_at_s)
            && self.standing(record, issued, now) == Standing::Good;
        good.then(|| DeviceIdentity { no: record.no, id: path.clone(), epoch: issued.epoch, issued_at_s: issued.at_s })
    }

    async fn look_closely(
        &self,
        path: &DeviceId,
        bearer: Option<&str>,
        usage: TokenUse,
        now: UtcMillis,
    ) -> Result<DeviceIdentity, Refusal> {
        let looked = |token| self.keys().look_at(token, now, |from| self.elapsed_ms(from, now));
        let Some((claims, seen)) = bearer.and_then(looked) else {
            // Without a token nothing is told about which devices exist, except to one that is itself unknown.
            let known = registered(&self.live().read(), path).map(|device| device.no);
            return Err(match (bearer, known) {
                (Some(_), None) => not_registered(),
                (None, None) => Refusal::unauthorized(TOKEN_REQUIRED),
                (Some(_), Some(no)) => self.refuse_known(no, Refusal::unauthorized(TOKEN_INVALID)),
                (None, Some(no)) => self.refuse_known(no, Refusal::unauthorized(TOKEN_REQUIRED)),
            });
        };
        if claims.sub != path.as_str() {
            return Err(self.refuse_foreign(&claims, path).await);
        }
        // Our own signature under what memory does not know yet: another process may have given it out a moment ago.
        if self.is_shared() && !self.stands(path, &claims, now) {
            self.take_device(path).await?;
        }
        let (no, state, standing, newer) = {
            let live = self.live().read();
            let Some(device) = registered(&live, path) else { return Err(not_registered()) };
            let newer = claims.generation > device.token_used_gen;
            (device.no, device.state, self.standing(device, (&claims).into(), now), newer)
        };
        let over = usage == TokenUse::Command && now.seconds() >= claims.exp;
        match (state, standing) {
            (DeviceState::Claimed, Standing::Superseded) => {
                self.suspect_clone(no, now).await;
                let message = "A newer device token is in use; configure again";
                Err(self.refuse_known(no, Refusal::unauthorized(message)))
            }
            (DeviceState::Claimed, Standing::Good) if !over => {
                if newer {
                    self.use_token(no, claims.generation).await?;
                }
                if let Some(device) = self.live().write().device_mut(no).filter(|_| seen.is_some()) {
                    device.token_seen = seen;
                }
                Ok(DeviceIdentity { no, id: path.clone(), epoch: claims.ep, issued_at_s: claims.iat })
            }
            _ => {
                let message = "The device token is no longer valid; configure again";
                Err(self.refuse_known(no, Refusal::unauthorized(message)))
            }
        }
    }

    /// Whether memory lets these claims speak.
    fn stands(&self, path: &DeviceId, claims: &TokenClaims, now: UtcMillis) -> bool {
        let live = self.live().read();
        let device = registered(&live, path).filter(|device| device.state == DeviceState::Claimed);
        device.is_some_and(|device| self.standing(device, claims.into(), now) == Standing::Good)
    }

    /// What a token says, if it is one of ours.
    pub(crate) fn claims_of(&self, token: &str) -> Option<TokenClaims> {
        let now = self.now();
        self.keys().verify(token, now, |from| self.elapsed_ms(from, now))
    }

    /// The refusal of a token on the path of another device, and its trace in the audit log.
    pub(crate) async fn refuse_foreign(&self, claims: &TokenClaims, path: &DeviceId) -> Refusal {
        if let Ok(speaker) = DeviceId::parse(&claims.sub) {
            self.note_of_device(&speaker, "device.mismatch", path.as_str(), json!({"part": "path"})).await;
        }
        Refusal::mismatch("the token belongs to another device")
    }

    /// Notes that a token of this generation was presented: older ones are superseded from here on. On disk first, so that
    /// what is superseded once stays so over a restart.
    pub(crate) async fn use_token(&self, no: DeviceNo, generation: i64) -> StoreResult<()> {
        if self.live().read().device(no).is_none_or(|d| generation <= d.record.token_used_gen) {
            return Ok(());
        }
        self.inner().tokens_used.write((no, generation)).await?;
        if let Some(device) = self.live().write().device_mut(no) {
            device.record.token_used_gen = device.record.token_used_gen.max(generation);
        }
        Ok(())
    }

    /// A fresh token for a device, of a generation above all that it was ever given or showed. The ones that it holds stay
    /// good until this one is used. `None` when the device is not, or no longer, claimed under this epoch.
    pub(crate) fn credentials(&self, no: DeviceNo, epoch: u32, now: UtcMillis) -> Option<Credentials> {
        let (id, generation) = {
            let mut live = self.live().write();
            let claimed = |r: &KeptDevice| r.epoch == epoch && r.state == DeviceState::Claimed;
            let device = live.device_mut(no).filter(|d| claimed(&d.record))?;
            let generation = now.0.max(device.token_issued_gen + 1).max(device.record.token_used_gen + 1);
            device.token_issued_gen = generation;
            (device.record.id(), generation)
        };
        let (token, expires_at) = self.keys().issue(&id, epoch, generation, now);
        Some(Credentials { token, expires_at })
    }

    /// A fresh token once half of the present one's life is over; for the answers that carry one.
    pub(crate) fn refresh(&self, who: &DeviceIdentity, now: UtcMillis) -> Option<Credentials> {
        let due = now.seconds() - who.issued_at_s >= limits::TOKEN_LIFE_S / 2;
        due.then(|| self.credentials(who.no, who.epoch, now)).flatten()
    }
}

const TOKEN_REQUIRED: &str = "A device token is required; configure first";
const TOKEN_INVALID: &str = "The device token is not valid; configure again";

/// A device that a person or open enrolment made one of the city's; one that merely asked is not.
fn registered<'a>(live: &'a State, id: &DeviceId) -> Option<&'a KeptDevice> {
    let device = live.device_no(id).and_then(|no| live.device(no))?;
    Some(&device.record).filter(|record| record.state != DeviceState::Pending)
}

fn not_registered() -> Refusal {
    Refusal::new(ErrorCode::NotRegistered, "This device is not registered; configure it")
}
